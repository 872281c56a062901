//! A series as it is kept: its labels encoded once for both versions.

use std::hash::BuildHasher;
use std::ops::Range;
use std::sync::Arc;

use crate::points::{Exemplar, Points};
use crate::symbols::{Held, Symbol, Symbols};
use crate::wire::{bytes_key, put_bytes, put_uint, put_varint};
use crate::{SeriesError, points};

/// The longest labels of one series, or texts of one family: 1 MiB, a tenth of
/// what receivers commonly take as a whole request.
pub const TEXT_BYTES_MAX: usize = 1 << 20;

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
    /// Name, help and unit in a `prometheus.MetricMetadata`.
    texts: Texts,
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
        let mut encoded = Encoded::default();
        put_uint(&mut encoded.bytes, 1, u64::from((kind as i32).unsigned_abs()));
        encoded.put(2, name);
        encoded.put(4, help);
        encoded.put(5, unit);
        let texts = encoded.keep(symbols, [name, help, unit].into_iter())?;
        Ok(Self { kind, texts })
    }

    /// Bytes this family takes in memory, its symbols apart.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.texts.heap_bytes()
    }

    pub(crate) fn kind(&self) -> u64 {
        u64::from((self.kind as i32).unsigned_abs())
    }

    /// The whole `prometheus.MetricMetadata`.
    pub(crate) fn v1(&self) -> &[u8] {
        &self.texts.encoded
    }

    pub(crate) fn name(&self) -> Symbol {
        self.texts.symbol(0)
    }

    /// Help and unit, each with its length in front of its text.
    pub(crate) fn help_and_unit(&self) -> [(Symbol, &[u8]); 2] {
        [1, 2].map(|i| (self.texts.symbol(i), self.texts.text(i)))
    }
}

/// One series: immutable, shared by whoever has samples of it under way.
#[derive(Debug)]
pub struct Series {
    hash: u64,
    family: Arc<Family>,
    /// Labels as field 1 of a `prometheus.TimeSeries`; names and values alternate.
    texts: Texts,
}

impl Series {
    /// Encodes `labels`, sorted by name and `__name__` among them.
    ///
    /// # Errors
    /// Labels longer than [`TEXT_BYTES_MAX`], or `symbols` is full.
    pub fn new(symbols: &Arc<Symbols>, labels: &[(&str, &str)], family: Arc<Family>) -> Result<Self, SeriesError> {
        let texts = || labels.iter().flat_map(|&(name, value)| [name, value]);
        check_length(texts())?;
        let mut encoded = Encoded::default();
        for &(name, value) in labels {
            encoded.put_label(name, value);
        }
        let texts = encoded.keep(symbols, texts())?;
        let hash = foldhash::quality::FixedState::default().hash_one(&texts.encoded);
        Ok(Self { hash, family, texts })
    }

    /// Hash of the labels, the same for the same labels in every process of this version.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// The metric it belongs to.
    #[must_use]
    pub fn family(&self) -> &Arc<Family> {
        &self.family
    }

    /// Bytes this series takes in memory, its family and symbols apart.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.texts.heap_bytes()
    }

    /// Labels as field 1 of a `prometheus.TimeSeries`.
    #[inline]
    pub(crate) fn v1(&self) -> &[u8] {
        &self.texts.encoded
    }

    #[inline]
    pub(crate) fn symbols(&self) -> &[Symbol] {
        self.texts.held.list()
    }

    /// Name or value number `i`, with its length in front.
    #[inline]
    pub(crate) fn text(&self, i: usize) -> &[u8] {
        self.texts.text(i)
    }
}

/// Not fewer bytes than pushing these points, and the series' metadata, adds to a request of either version.
#[must_use]
pub fn bytes_max(series: &Series, points: Points<'_>, exemplars: &[Exemplar]) -> usize {
    // A reference is a varint of at most 5 bytes, a symbol's key is one more
    // byte; a length takes at most 5 and its key one.
    let refs = series.symbols().len() * 6;
    let family = 6 + series.family.v1().len() + 32;
    let exemplars: usize = exemplars.iter().map(points::exemplar_bytes_max).sum();
    12 + series.v1().len() + refs + family + points.bytes_max() + exemplars
}

/// Texts of a message, encoded once, each with its symbol.
#[derive(Debug)]
struct Texts {
    encoded: Box<[u8]>,
    /// Where each text is in `encoded`, with its length in front; nowhere if empty.
    spans: Box<[Range<u32>]>,
    held: Held,
}

impl Texts {
    fn symbol(&self, i: usize) -> Symbol {
        self.held.list().get(i).copied().unwrap_or(Symbol::EMPTY)
    }

    #[inline]
    fn text(&self, i: usize) -> &[u8] {
        let span = self.spans.get(i).map(|span| span.start as usize..span.end as usize);
        span.and_then(|span| self.encoded.get(span)).unwrap_or_default()
    }

    fn heap_bytes(&self) -> usize {
        self.encoded.len() + self.spans.len() * (size_of::<Range<u32>>() + size_of::<Symbol>())
    }
}

/// `Texts` while they are put together.
#[derive(Default)]
struct Encoded {
    bytes: Vec<u8>,
    spans: Vec<Range<usize>>,
}

impl Encoded {
    /// Appends a string field; an empty one is left out, as everywhere in proto3.
    fn put(&mut self, field: u8, text: &str) {
        if text.is_empty() {
            self.spans.push(0..0);
            return;
        }
        self.bytes.push(bytes_key(field));
        let start = self.bytes.len();
        put_varint(&mut self.bytes, text.len() as u64);
        self.bytes.extend_from_slice(text.as_bytes());
        self.spans.push(start..self.bytes.len());
    }

    fn put_label(&mut self, name: &str, value: &str) {
        let mut label = Self::default();
        label.put(1, name);
        label.put(2, value);
        put_bytes(&mut self.bytes, 1, &label.bytes);
        let at = self.bytes.len() - label.bytes.len();
        self.spans.extend(label.spans.iter().map(|span| span.start + at..span.end + at));
    }

    fn keep<'a>(self, symbols: &Arc<Symbols>, texts: impl Iterator<Item = &'a str>) -> Result<Texts, SeriesError> {
        let narrow = |span: &Range<usize>| Ok(u32::try_from(span.start)?..u32::try_from(span.end)?);
        let spans: Result<_, std::num::TryFromIntError> = self.spans.iter().map(narrow).collect();
        let spans = spans.map_err(|_| too_long(self.bytes.len()))?;
        Ok(Texts { encoded: self.bytes.into(), spans, held: Held::new(symbols, texts)? })
    }
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
