//! Remote write 1.0: `prometheus.WriteRequest`.

mod messages;

use prost::Message;

use crate::order::Parts;
use crate::points::{put_histograms, put_samples};
use crate::stamps::Stamps;
use crate::wire::{bytes_len, double_len, put_bytes, put_double, put_header, put_uint, uint_len};
use crate::{Counts, DecodeError, Exemplar, Family, Points, Request, Series};

/// Value of [`crate::headers::VERSION`].
pub const VERSION: &str = "0.1.0";

/// The `Content-Type`, in the form every receiver of 1.0 knows.
pub const CONTENT_TYPE: &str = "application/x-protobuf";

/// Reads something of all that pushing a series takes, and does nothing with it: a series that was met long ago has
/// to come from memory, and those of several come together if they are fetched before the first one is pushed.
#[inline]
pub fn fetch(series: &Series) {
    std::hint::black_box(series.fetch(series.labels_at()));
}

/// Builds one request after another in the same buffers.
#[derive(Debug, Default)]
pub struct Builder {
    series: Parts,
    /// The metadata of families.
    metadata: Vec<u8>,
    /// The time series at hand, after its labels.
    tail: Vec<u8>,
    families: Stamps,
    request: Vec<u8>,
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
        let (labels, buf) = (series.v1(), &mut self.series.bytes);
        put_header(buf, 1, labels.len() + self.tail.len());
        buf.extend_from_slice(labels);
        buf.extend_from_slice(&self.tail);
        self.series.end(points);
        self.counts.add(points, exemplars);
    }

    /// Appends the metadata of a metric, unless this request has some under its name
    /// (of a family that is still alive; of one that is gone it may come twice).
    pub fn push_metadata(&mut self, family: &Family) {
        if self.families.get(family.name()).is_none() {
            self.families.add(family.name());
            put_bytes(&mut self.metadata, 3, family.v1());
        }
    }

    /// Length of the request so far, before snappy; exact.
    #[must_use]
    pub fn len_bytes(&self) -> usize {
        self.series.bytes.len() + self.metadata.len()
    }

    /// What the request holds so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The request so far, in the order in which it was pushed; more may be pushed to it.
    #[must_use]
    pub fn finish(&mut self) -> &[u8] {
        self.request.clear();
        self.request.extend_from_slice(&self.series.bytes);
        self.request.extend_from_slice(&self.metadata);
        &self.request
    }

    /// The same, but for time series in order of their first points.
    #[must_use]
    pub fn finish_by_time(&mut self) -> &[u8] {
        self.request.clear();
        self.series.append_by_time(&mut self.request);
        self.request.extend_from_slice(&self.metadata);
        &self.request
    }

    /// Begins the next request, keeping the buffers.
    pub fn clear(&mut self) {
        self.series.clear();
        self.metadata.clear();
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
