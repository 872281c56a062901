//! Series and samples.

use std::sync::Arc;

use crate::refusal::Reason;

/// What a user of this crate keeps of a family and of a series; made once, while it is remembered.
pub trait Make {
    /// What is kept of a metric family.
    type Family;
    /// What is kept of a series.
    type Series;

    /// Keeps a metric family.
    ///
    /// # Errors
    /// Why it cannot be kept; its points are refused.
    fn family(&mut self, metadata: Metadata<'_>) -> Result<Self::Family, Reason>;

    /// Keeps a series. `labels` are in order of their names, each name once, none empty, the
    /// metric's name among them.
    ///
    /// # Errors
    /// Why it cannot be kept; its points are refused.
    fn series(&mut self, labels: &[(&str, &str)], family: &Self::Family) -> Result<Self::Series, Reason>;

    /// What a series weighs in memory, about, in bytes.
    fn weight(series: &Self::Series) -> usize;
}

/// What is known about a metric family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metadata<'a> {
    /// The family's name, without `_bucket`, `_sum` and `_count`.
    pub name: &'a str,
    /// Its type.
    pub kind: Kind,
    /// What it measures, for people.
    pub help: &'a str,
    /// Its unit in words; empty if it has none.
    pub unit: &'a str,
}

/// The type of a metric family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Only rises, except when it starts over.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Counts by buckets.
    Histogram,
    /// Quantiles.
    Summary,
}

/// One value of a series.
#[derive(Debug)]
pub struct Sample<S> {
    /// The series.
    pub series: Arc<S>,
    /// The value; [`STALE`] says that the series has ended for now.
    pub value: f64,
    /// When it was taken, in milliseconds since 1970.
    pub timestamp_ms: i64,
    /// What it counts from, in milliseconds since 1970; 0 if unknown.
    pub start_ms: i64,
}

impl<S> Clone for Sample<S> {
    fn clone(&self) -> Self {
        Self { series: self.series.clone(), ..*self }
    }
}

/// Prometheus's staleness marker. Compare the bits: it is a NaN.
pub const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// Any other NaN, as Prometheus writes it: a payload's own bits must not turn into [`STALE`].
const NAN: f64 = f64::from_bits(0x7ff8_0000_0000_0001);

/// The value as Prometheus takes it.
#[inline]
pub(crate) fn normal(value: f64) -> f64 {
    if value.is_nan() { NAN } else { value }
}
