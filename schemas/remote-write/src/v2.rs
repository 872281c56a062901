//! Remote write 2.0: `io.prometheus.write.v2.Request`.

mod messages;
mod table;

use prost::Message;

use self::table::SymbolTable;
use crate::order::Parts;
use crate::points::{put_histograms, put_samples};
use crate::wire::{bytes_len, double_len, put_double, put_header, put_uint, put_varint, uint_len};
use crate::{Counts, DecodeError, Exemplar, Family, Points, Request, Series};

/// Value of [`crate::headers::VERSION`].
pub const VERSION: &str = "2.0.0";

/// The `Content-Type`.
pub const CONTENT_TYPE: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

/// Fetches what pushing a series takes: see [`crate::v1::fetch`].
#[inline]
pub fn fetch(series: &Series) {
    std::hint::black_box(series.fetch(series.symbols_at()));
}

/// Builds one request after another in the same buffers.
#[derive(Debug)]
pub struct Builder {
    symbols: SymbolTable,
    series: Parts,
    /// Label references of the message at hand.
    refs: Vec<u8>,
    /// The time series at hand, after its labels.
    tail: Vec<u8>,
    request: Vec<u8>,
    counts: Counts,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            symbols: SymbolTable::new(),
            series: Parts::default(),
            refs: Vec::new(),
            tail: Vec::new(),
            request: Vec::new(),
            counts: Counts::default(),
        }
    }
}

impl Builder {
    /// Begins with an empty request.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a time series with its metadata; none if there are no points, which 2.0 forbids.
    ///
    /// A string is written once a request while a series that has it is alive.
    pub fn push(&mut self, series: &Series, points: Points<'_>, exemplars: &[Exemplar]) {
        if points.is_empty() {
            return;
        }
        self.tail.clear();
        match points {
            Points::Samples(samples) => put_samples(&mut self.tail, samples, true),
            Points::Histograms(histograms) => put_histograms(&mut self.tail, 3, histograms),
        }
        for exemplar in exemplars {
            self.put_exemplar(exemplar);
        }
        self.put_metadata(series.family());

        self.refs.clear();
        let mut texts = series.texts();
        for (i, symbol) in series.symbols().enumerate() {
            let number = self.symbols.number(symbol, || texts.text(i));
            put_varint(&mut self.refs, u64::from(number));
        }
        let refs_len = refs_field_len(&self.refs);
        let buf = &mut self.series.bytes;
        put_header(buf, 5, refs_len + self.tail.len());
        put_refs(buf, &self.refs);
        buf.extend_from_slice(&self.tail);
        self.series.end(points);
        self.counts.add(points, exemplars);
    }

    /// Length of the request so far, before snappy; exact.
    #[must_use]
    pub fn len_bytes(&self) -> usize {
        self.symbols.encoded().len() + self.series.bytes.len()
    }

    /// What the request holds so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The request so far, in the order in which it was pushed; more may be pushed to it.
    ///
    /// Symbols come first, for receivers that resolve references while they read.
    #[must_use]
    pub fn finish(&mut self) -> &[u8] {
        self.request.clear();
        self.request.extend_from_slice(self.symbols.encoded());
        self.request.extend_from_slice(&self.series.bytes);
        &self.request
    }

    /// The same, but for time series in order of their first points.
    #[must_use]
    pub fn finish_by_time(&mut self) -> &[u8] {
        self.request.clear();
        self.request.extend_from_slice(self.symbols.encoded());
        self.series.append_by_time(&mut self.request);
        &self.request
    }

    /// Begins the next request, keeping the buffers.
    pub fn clear(&mut self) {
        self.symbols.clear();
        self.series.clear();
        self.counts = Counts::default();
    }

    fn put_exemplar(&mut self, exemplar: &Exemplar) {
        self.refs.clear();
        for text in exemplar.labels.iter().flat_map(|(name, value)| [name, value]) {
            let number = self.symbols.number_of_text(text);
            put_varint(&mut self.refs, u64::from(number));
        }
        let timestamp = exemplar.timestamp_ms.cast_unsigned();
        let rest_len = double_len(exemplar.value) + uint_len(timestamp);
        put_header(&mut self.tail, 4, refs_field_len(&self.refs) + rest_len);
        put_refs(&mut self.tail, &self.refs);
        put_double(&mut self.tail, 2, exemplar.value);
        put_uint(&mut self.tail, 3, timestamp);
    }

    fn put_metadata(&mut self, family: &Family) {
        let [help, unit] = family.help_and_unit().map(|(symbol, text)| u64::from(self.symbols.number(symbol, || text)));
        let kind = family.kind();
        let len = uint_len(kind) + uint_len(help) + uint_len(unit);
        if len > 0 {
            put_header(&mut self.tail, 5, len);
            put_uint(&mut self.tail, 1, kind);
            put_uint(&mut self.tail, 3, help);
            put_uint(&mut self.tail, 4, unit);
        }
    }
}

/// Appends packed references as field 1, left out when empty.
fn put_refs(buf: &mut Vec<u8>, refs: &[u8]) {
    if !refs.is_empty() {
        put_header(buf, 1, refs.len());
        buf.extend_from_slice(refs);
    }
}

fn refs_field_len(refs: &[u8]) -> usize {
    if refs.is_empty() { 0 } else { bytes_len(refs.len()) }
}

/// Reads a request, decompressed before. Takes memory in proportion to `bytes`,
/// and at most [`crate::LABEL_BYTES_MAX`] for labels.
///
/// # Errors
/// Malformed protobuf, references that lead nowhere or do not come in pairs,
/// and labels that repeat symbols beyond all measure.
pub fn decode(bytes: &[u8]) -> Result<Request, DecodeError> {
    let request =
        messages::Request::decode(bytes).map_err(|source| DecodeError::Malformed { bytes: bytes.len(), source })?;
    messages::resolve(request, crate::LABEL_BYTES_MAX)
}

#[cfg(test)]
mod tests;
