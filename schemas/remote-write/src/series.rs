//! A series as it is kept: its labels encoded once for both versions.

use std::hash::BuildHasher;
use std::ops::Range;
use std::sync::Arc;

use foldhash::quality::FixedState;

use crate::points::{Exemplar, Points};
use crate::symbols::{Symbol, Symbols};
use crate::wire::{put_bytes, put_uint, varint_len};
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
    /// Where help and unit are in it, with their lengths in front; nowhere if empty.
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

    /// Help and unit, each with its length in front of its text.
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
    symbols: Arc<Symbols>,
    /// The symbols of names and values, which alternate; then the labels as field 1 of a
    /// `prometheus.TimeSeries`. In one piece: a series that was met long ago has to come from memory.
    bytes: Box<[u8]>,
    /// Where the labels begin.
    labels: usize,
}

impl Series {
    /// Encodes `labels`, sorted by name and `__name__` among them.
    ///
    /// # Errors
    /// Labels longer than [`TEXT_BYTES_MAX`], or `symbols` is full.
    pub fn new(symbols: &Arc<Symbols>, labels: &[(&str, &str)], family: Arc<Family>) -> Result<Self, SeriesError> {
        let texts = || labels.iter().flat_map(|&(name, value)| [name, value]);
        check_length(texts())?;
        let held = symbols.hold(texts())?;
        let mut bytes: Vec<u8> = held.into_iter().flat_map(Symbol::to_bytes).collect();
        let start = bytes.len();
        let mut label = Vec::new();
        for &(name, value) in labels {
            label.clear();
            put_text(&mut label, 1, name);
            put_text(&mut label, 2, value);
            put_bytes(&mut bytes, 1, &label);
        }
        let hash = FixedState::default().hash_one(bytes.get(start..).unwrap_or_default());
        Ok(Self { hash, family, symbols: Arc::clone(symbols), bytes: bytes.into(), labels: start })
    }

    /// Hash of the labels, the same for the same labels in every process of this version.
    #[inline]
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Has a part of a series come from memory: see [`crate::v1::fetch`].
    #[inline]
    pub(crate) fn fetch(&self, part: Range<usize>) -> u8 {
        let bytes = self.bytes.get(part).unwrap_or_default();
        bytes.iter().step_by(LINE_BYTES).chain(bytes.last()).fold(0, |all, byte| all ^ byte)
    }

    /// Where its symbols are.
    #[inline]
    pub(crate) fn symbols_at(&self) -> Range<usize> {
        0..self.labels
    }

    /// Where its labels are.
    #[inline]
    pub(crate) fn labels_at(&self) -> Range<usize> {
        self.labels..self.bytes.len()
    }

    /// The metric it belongs to.
    #[must_use]
    pub fn family(&self) -> &Arc<Family> {
        &self.family
    }

    /// Bytes this series takes in memory, its family and symbols apart.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.bytes.len()
    }

    /// Labels as field 1 of a `prometheus.TimeSeries`.
    #[inline]
    pub(crate) fn v1(&self) -> &[u8] {
        self.bytes.get(self.labels_at()).unwrap_or_default()
    }

    #[inline]
    pub(crate) fn symbols(&self) -> impl ExactSizeIterator<Item = Symbol> {
        let (symbols, _) = self.bytes.get(self.symbols_at()).unwrap_or_default().as_chunks();
        symbols.iter().map(|symbol| Symbol::from_bytes(*symbol))
    }

    /// Its names and values, in their order.
    pub(crate) fn texts(&self) -> Texts<'_> {
        Texts { labels: self.v1(), passed: 0 }
    }
}

/// The names and values of a series, read once from the first to the last.
pub(crate) struct Texts<'a> {
    labels: &'a [u8],
    /// How many labels are behind.
    passed: usize,
}

impl<'a> Texts<'a> {
    /// Name or value number `i`, with its length in front; nothing if it is empty, or of a label before the last one
    /// that was asked for.
    pub(crate) fn text(&mut self, i: usize) -> &'a [u8] {
        while self.passed < i / 2 {
            take_field(&mut self.labels);
            self.passed += 1;
        }
        let mut labels = self.labels;
        let Some((_, mut label)) = take_field(&mut labels) else { return &[] };
        // Behind the key and length of the label's own field.
        take_length(&mut label);
        let wanted = if i.is_multiple_of(2) { 1 } else { 2 };
        while let Some((field, text)) = take_field(&mut label) {
            if field == wanted {
                return text;
            }
        }
        &[]
    }
}

impl Drop for Series {
    fn drop(&mut self) {
        self.symbols.release(self.symbols());
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

/// Appends a string field; an empty one is left out, as everywhere in proto3. Returns where it is, with its length in
/// front.
fn put_text(buf: &mut Vec<u8>, field: u8, text: &str) -> Range<usize> {
    if text.is_empty() {
        return 0..0;
    }
    put_bytes(buf, field, text.as_bytes());
    buf.len() - text.len() - varint_len(text.len() as u64)..buf.len()
}

/// Takes a length-delimited field off the front: its number, and its value with its length in front.
fn take_field<'a>(bytes: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let (key, after) = bytes.split_first()?;
    let mut value = after;
    let length = take_length(&mut value);
    let (field, rest) = after.split_at_checked(after.len() - value.len() + length)?;
    *bytes = rest;
    Some((key >> 3, field))
}

/// Takes a length off the front.
fn take_length(bytes: &mut &[u8]) -> usize {
    let mut length = 0;
    for shift in (0..).step_by(7) {
        let Some((byte, rest)) = bytes.split_first() else { break };
        *bytes = rest;
        length |= usize::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            break;
        }
    }
    length
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
