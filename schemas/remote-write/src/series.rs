//! A series as it is kept: the symbols of its labels.

use std::hash::{BuildHasher, Hasher};
use std::ops::Range;
use std::sync::Arc;

use foldhash::quality::FixedState;

use crate::points::{Exemplar, Points};
use crate::symbols::{Symbol, Symbols, Text};
use crate::wire::{bytes_len, put_bytes, put_header, put_uint};
use crate::{SeriesError, points};

/// The longest labels of one series, or texts of one family: 1 MiB, a tenth of
/// what receivers commonly take as a whole request.
pub const TEXT_BYTES_MAX: usize = 1 << 20;

/// What comes from memory at once.
const LINE_BYTES: usize = 64;

/// The type of a metric, under the numbers of both versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, prost::Enumeration)]
#[repr(i32)]
pub enum MetricType {
    /// Not known.
    Unknown = 0,
    /// Monotonic, cumulative.
    Counter = 1,
    /// Goes up and down.
    Gauge = 2,
    /// Cumulative buckets, or native.
    Histogram = 3,
    /// Buckets that go up and down.
    GaugeHistogram = 4,
    /// Quantiles.
    Summary = 5,
    /// Constant 1, told by its labels.
    Info = 6,
    /// One series a state.
    StateSet = 7,
}

/// What the series of one metric have in common: name, type, help and unit.
#[derive(Debug)]
pub struct Family {
    kind: MetricType,
    symbols: Arc<Symbols>,
    /// Name, help and unit.
    held: [Symbol; 3],
    /// A whole `prometheus.MetricMetadata`.
    encoded: Box<[u8]>,
    /// Where help and unit are in it; nowhere if empty.
    texts: [Range<usize>; 2],
}

impl Family {
    /// Keeps the metadata of one metric; `name` without suffixes such as `_bucket`.
    ///
    /// # Errors
    /// Texts longer than [`TEXT_BYTES_MAX`], or `symbols` is full.
    pub fn new(
        symbols: &Arc<Symbols>,
        kind: MetricType,
        name: &str,
        help: &str,
        unit: &str,
    ) -> Result<Self, SeriesError> {
        check_length([name, help, unit].into_iter())?;
        let mut encoded = Vec::new();
        put_uint(&mut encoded, 1, u64::from((kind as i32).unsigned_abs()));
        put_text(&mut encoded, 2, name);
        let texts = [(4, help), (5, unit)].map(|(field, text)| put_text(&mut encoded, field, text));
        let mut held = [Symbol::EMPTY; 3];
        held.copy_from_slice(&symbols.hold([name, help, unit].into_iter())?);
        Ok(Self { kind, symbols: Arc::clone(symbols), held, encoded: encoded.into(), texts })
    }

    /// Bytes this family takes in memory, its symbols apart.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.encoded.len()
    }

    pub(crate) fn kind(&self) -> u64 {
        u64::from((self.kind as i32).unsigned_abs())
    }

    /// The whole `prometheus.MetricMetadata`.
    pub(crate) fn v1(&self) -> &[u8] {
        &self.encoded
    }

    pub(crate) fn name(&self) -> Symbol {
        self.held[0]
    }

    /// Help and unit, each with its text.
    pub(crate) fn help_and_unit(&self) -> [(Symbol, &[u8]); 2] {
        let [_, help, unit] = self.held;
        let [help_at, unit_at] = &self.texts;
        [(help, help_at), (unit, unit_at)].map(|(held, at)| (held, self.encoded.get(at.clone()).unwrap_or_default()))
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        self.symbols.release(self.held.into_iter());
    }
}

/// One series: immutable, shared by whoever has samples of it under way.
#[derive(Debug)]
pub struct Series {
    hash: u64,
    family: Arc<Family>,
    /// Held by the symbols of the family.
    labels: Box<[Symbol]>,
    /// Length of the labels as fields of a `prometheus.TimeSeries`.
    labels_bytes: usize,
}

impl Series {
    /// Keeps `labels`, sorted by name and `__name__` among them.
    ///
    /// # Errors
    /// Labels longer than [`TEXT_BYTES_MAX`], or the symbols of the family are full.
    pub fn new(labels: &[(&str, &str)], family: Arc<Family>) -> Result<Self, SeriesError> {
        let texts = || labels.iter().flat_map(|&(name, value)| [name, value]);
        check_length(texts())?;
        let held = family.symbols.hold_labels(labels)?;
        let mut hasher = FixedState::default().build_hasher();
        for text in texts() {
            hasher.write_usize(text.len());
            hasher.write(text.as_bytes());
        }
        let labels_bytes = labels.iter().map(|(name, value)| bytes_len(label_len(name, value))).sum();
        Ok(Self { hash: hasher.finish(), family, labels: held.into(), labels_bytes })
    }

    /// Hash of the labels, the same for the same labels in every process of this version.
    #[inline]
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Reads something of all that pushing a series takes, and does nothing with it: a series that was met long ago
    /// has to come from memory, and those of several come together if they are fetched before the first one is pushed.
    #[inline]
    pub fn fetch(&self) {
        let lines = self.labels.iter().step_by(LINE_BYTES / size_of::<Symbol>());
        std::hint::black_box(lines.chain(self.labels.last()).fold(0, |all, label| all ^ label.slot));
    }

    /// The metric it belongs to.
    #[must_use]
    pub fn family(&self) -> &Arc<Family> {
        &self.family
    }

    /// Bytes this series takes in memory, its family and symbols apart.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + size_of_val(&*self.labels)
    }

    #[inline]
    pub(crate) fn labels(&self) -> &[Symbol] {
        &self.labels
    }

    /// Length of its labels as fields of a `prometheus.TimeSeries`.
    #[inline]
    pub(crate) fn labels_bytes(&self) -> usize {
        self.labels_bytes
    }

    /// Tells the name and value of one of its labels.
    pub(crate) fn tell<R>(&self, label: Symbol, tell: impl FnOnce([Text<'_>; 2]) -> R) -> Option<R> {
        self.family.symbols.tell(label, tell)
    }
}

impl Drop for Series {
    fn drop(&mut self) {
        self.family.symbols.release_labels(&self.labels);
    }
}

/// Not fewer bytes than pushing these points, and the series' metadata, adds to a request of either version.
#[must_use]
pub fn bytes_max(series: &Series, points: Points<'_>, exemplars: &[Exemplar]) -> usize {
    // A reference is a varint of at most 5 bytes, a symbol's key is one more
    // byte; a length takes at most 5 and its key one.
    let refs = series.labels.len() * 2 * 6;
    let family = 6 + series.family.v1().len() + 32;
    let exemplars: usize = exemplars.iter().map(points::exemplar_bytes_max).sum();
    12 + series.labels_bytes + refs + family + points.bytes_max() + exemplars
}

/// Appends a string field; an empty one is left out, as everywhere in proto3. Returns where it is.
fn put_text(buf: &mut Vec<u8>, field: u8, text: &str) -> Range<usize> {
    if text.is_empty() {
        return 0..0;
    }
    put_bytes(buf, field, text.as_bytes());
    buf.len() - text.len()..buf.len()
}

/// Length of a `prometheus.Label`.
pub(crate) fn label_len(name: &str, value: &str) -> usize {
    let text_len = |text: &str| if text.is_empty() { 0 } else { bytes_len(text.len()) };
    text_len(name) + text_len(value)
}

/// Appends a label as field 1 of a `prometheus.TimeSeries`.
pub(crate) fn put_label(buf: &mut Vec<u8>, name: &str, value: &str) {
    put_header(buf, 1, label_len(name, value));
    put_text(buf, 1, name);
    put_text(buf, 2, value);
}

fn check_length<'a>(texts: impl Iterator<Item = &'a str>) -> Result<(), SeriesError> {
    let bytes = texts.map(str::len).sum();
    if bytes > TEXT_BYTES_MAX { Err(too_long(bytes)) } else { Ok(()) }
}

fn too_long(bytes: usize) -> SeriesError {
    SeriesError::TooLong { bytes, bytes_max: TEXT_BYTES_MAX }
}

#[cfg(test)]
mod tests;
