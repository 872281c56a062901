//! Remote write 1.0: `prometheus.WriteRequest`.

mod messages;

use prost::Message;

use crate::marks::Marks;
use crate::pieces::{Block, Last, Pieces};
use crate::points::{put_histograms, put_samples};
use crate::series::put_label;
use crate::symbols::Symbol;
use crate::wire::{bytes_len, double_len, put_bytes, put_double, put_header, put_uint, uint_len};
use crate::{Counts, DecodeError, Exemplar, Family, Points, Request, Series, SnappyError};

/// Value of [`crate::headers::VERSION`].
pub const VERSION: &str = "0.1.0";

/// The `Content-Type`, in the form every receiver of 1.0 knows.
pub const CONTENT_TYPE: &str = "application/x-protobuf";

/// Builds one request after another in the same buffers.
#[derive(Debug, Default)]
pub struct Builder {
    series: Pieces,
    /// The metadata of families.
    metadata: Vec<u8>,
    /// Where a label was written last, and its length.
    labels: Marks<(usize, usize)>,
    /// The time series at hand, after its labels.
    tail: Vec<u8>,
    header: Vec<u8>,
    last_header: Last,
    last_times: Last,
    families: Marks<()>,
    block: Block,
    counts: Counts,
}

impl Builder {
    /// Begins with an empty request.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a time series; none if there are no points. Start timestamps have no place in 1.0.
    pub fn push(&mut self, series: &Series, points: Points<'_>, exemplars: &[Exemplar]) {
        if points.is_empty() {
            return;
        }
        self.tail.clear();
        if let Points::Samples(samples) = points {
            put_samples(&mut self.tail, samples, false);
        }
        for exemplar in exemplars {
            self.put_exemplar(exemplar);
        }
        if let Points::Histograms(histograms) = points {
            put_histograms(&mut self.tail, 4, histograms);
        }
        self.header.clear();
        put_header(&mut self.header, 1, series.labels_bytes() + self.tail.len());
        self.series.repeat(&self.header, &mut self.last_header);
        for label in series.labels() {
            self.put_label(series, *label);
        }
        let (own, times) = self.tail.split_at(points.own_bytes(exemplars).unwrap_or(self.tail.len()));
        self.series.literal().extend_from_slice(own);
        self.series.repeat(times, &mut self.last_times);
        self.counts.add(points, exemplars);
    }

    #[inline]
    fn put_label(&mut self, series: &Series, label: Symbol) {
        let at = self.series.len();
        if let Some((before, bytes)) = self.labels.get_mut(label) {
            self.series.copy(std::mem::replace(before, at), *bytes);
        } else {
            let buf = self.series.literal();
            series.tell(label, |[(_, name), (_, value)]| put_label(buf, name, value));
            self.labels.put(label, (at, self.series.len() - at));
        }
    }

    /// Appends the metadata of a metric, unless this request has some under its name
    /// (of a family that is still alive; of one that is gone it may come twice).
    pub fn push_metadata(&mut self, family: &Family) {
        if self.families.get(family.name()).is_none() {
            self.families.put(family.name(), ());
            put_bytes(&mut self.metadata, 3, family.v1());
        }
    }

    /// Length of the request so far, before snappy; exact.
    #[inline]
    #[must_use]
    pub fn len_bytes(&self) -> usize {
        self.series.len() + self.metadata.len()
    }

    /// What the request holds so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The request so far in snappy's block format, in the order in which it was pushed; more may be pushed to it.
    ///
    /// # Errors
    /// It is longer than 4 GiB.
    pub fn finish(&mut self) -> Result<Vec<u8>, SnappyError> {
        self.block.put(&[], &mut self.series, &self.metadata)
    }

    /// Begins the next request, keeping the buffers.
    pub fn clear(&mut self) {
        self.series.clear();
        self.metadata.clear();
        self.labels.clear();
        self.last_header.clear();
        self.last_times.clear();
        self.families.clear();
        self.counts = Counts::default();
    }

    fn put_exemplar(&mut self, exemplar: &Exemplar) {
        let timestamp = exemplar.timestamp_ms.cast_unsigned();
        let label_len = |name: &str, value: &str| bytes_len(name.len()) + bytes_len(value.len());
        let labels = exemplar.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let labels_len: usize = labels.clone().map(|(name, value)| bytes_len(label_len(name, value))).sum();
        let rest_len = double_len(exemplar.value) + uint_len(timestamp);
        put_header(&mut self.tail, 3, labels_len + rest_len);
        for (name, value) in labels {
            put_header(&mut self.tail, 1, label_len(name, value));
            put_bytes(&mut self.tail, 1, name.as_bytes());
            put_bytes(&mut self.tail, 2, value.as_bytes());
        }
        put_double(&mut self.tail, 2, exemplar.value);
        put_uint(&mut self.tail, 3, timestamp);
    }
}

/// Reads a request, decompressed before. Takes memory in proportion to `bytes`.
///
/// # Errors
/// Malformed protobuf, such as a truncated field or text that is not UTF-8.
pub fn decode(bytes: &[u8]) -> Result<Request, DecodeError> {
    let request = messages::WriteRequest::decode(bytes)
        .map_err(|source| DecodeError::Malformed { bytes: bytes.len(), source })?;
    Ok(request.into())
}

#[cfg(test)]
mod tests;
