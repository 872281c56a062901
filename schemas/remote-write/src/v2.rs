//! Remote write 2.0: `io.prometheus.write.v2.Request`.

mod messages;
mod table;

use prost::Message;

use self::table::SymbolTable;
use crate::marks::Marks;
use crate::pieces::{Block, Last, Pieces};
use crate::points::{put_histograms, put_samples};
use crate::symbols::Symbol;
use crate::wire::{bytes_len, double_len, put_double, put_header, put_uint, put_varint, uint_len};
use crate::{Counts, DecodeError, Exemplar, Family, Points, Request, Series, SnappyError};

/// Value of [`crate::headers::VERSION`].
pub const VERSION: &str = "2.0.0";

/// The `Content-Type`.
pub const CONTENT_TYPE: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

/// The longest references of a label: two varints.
const REFS_BYTES_MAX: usize = 10;

/// Builds one request after another in the same buffers.
#[derive(Debug, Default)]
pub struct Builder {
    symbols: SymbolTable,
    /// What the labels of this request are encoded as.
    labels: Marks<Refs>,
    series: Pieces,
    /// Label references of the message at hand.
    refs: Vec<u8>,
    /// The time series at hand, after its labels.
    tail: Vec<u8>,
    header: Vec<u8>,
    last_header: Last,
    last_times: Last,
    block: Block,
    counts: Counts,
}

/// References to the name and the value of a label, and how many bytes they take.
#[derive(Debug, Clone, Copy, Default)]
struct Refs {
    bytes: [u8; REFS_BYTES_MAX],
    len: u8,
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
        for label in series.labels() {
            self.put_label(series, *label);
        }
        self.header.clear();
        put_header(&mut self.header, 5, refs_field_len(&self.refs) + self.tail.len());
        if !self.refs.is_empty() {
            put_header(&mut self.header, 1, self.refs.len());
        }
        self.series.repeat(&self.header, &mut self.last_header);
        let (own, times) = self.tail.split_at(points.own_bytes(exemplars).unwrap_or(self.tail.len()));
        let literal = self.series.literal();
        literal.extend_from_slice(&self.refs);
        literal.extend_from_slice(own);
        self.series.repeat(times, &mut self.last_times);
        self.counts.add(points, exemplars);
    }

    #[inline]
    fn put_label(&mut self, series: &Series, label: Symbol) {
        let refs = match self.labels.get(label) {
            Some(refs) => *refs,
            None => self.meet(series, label),
        };
        // All of them are appended and taken off again: their number need not be known to copy them.
        let end = self.refs.len() + usize::from(refs.len);
        self.refs.extend_from_slice(&refs.bytes);
        self.refs.truncate(end);
    }

    /// Numbers the strings of a label.
    #[cold]
    fn meet(&mut self, series: &Series, label: Symbol) -> Refs {
        let symbols = &mut self.symbols;
        let numbers = series.tell(label, |texts| texts.map(|(symbol, text)| symbols.number(symbol, text.as_bytes())));
        let mut bytes = Vec::with_capacity(REFS_BYTES_MAX);
        numbers.unwrap_or_default().into_iter().for_each(|number| put_varint(&mut bytes, u64::from(number)));
        let mut refs = Refs { len: u8::try_from(bytes.len()).unwrap_or_default(), ..Refs::default() };
        refs.bytes.iter_mut().zip(bytes).for_each(|(place, byte)| *place = byte);
        self.labels.put(label, refs);
        refs
    }

    /// Length of the request so far, before snappy; exact.
    #[inline]
    #[must_use]
    pub fn len_bytes(&self) -> usize {
        self.symbols.encoded().len() + self.series.len()
    }

    /// What the request holds so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The request so far in snappy's block format, in the order in which it was pushed; more may be pushed to it.
    ///
    /// Symbols come first, for receivers that resolve references while they read.
    ///
    /// # Errors
    /// It is longer than 4 GiB.
    pub fn finish(&mut self) -> Result<Vec<u8>, SnappyError> {
        self.block.put(self.symbols.encoded(), &mut self.series, &[])
    }

    /// Begins the next request, keeping the buffers.
    pub fn clear(&mut self) {
        self.symbols.clear();
        self.labels.clear();
        self.series.clear();
        self.last_header.clear();
        self.last_times.clear();
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
        if !self.refs.is_empty() {
            put_header(&mut self.tail, 1, self.refs.len());
            self.tail.extend_from_slice(&self.refs);
        }
        put_double(&mut self.tail, 2, exemplar.value);
        put_uint(&mut self.tail, 3, timestamp);
    }

    fn put_metadata(&mut self, family: &Family) {
        let [help, unit] = family.help_and_unit().map(|(symbol, text)| u64::from(self.symbols.number(symbol, text)));
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
