//! Series and samples.

use std::slice::from_ref;
use std::sync::Arc;

use weir_remote_write::{Exemplar, Histogram, Points};

use crate::kept::Kept;
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

    /// The series that are kept next are those of one point of a tenant, as its resource says; `is_data` is false for what
    /// only describes the resource.
    fn point(&mut self, _tenant: &str, _is_data: bool) {}

    /// Keeps a series. `labels` are in order of their names, each name once, none empty, the
    /// metric's name among them.
    ///
    /// # Errors
    /// Why it cannot be kept; its points are refused.
    fn series(&mut self, labels: &[(&str, &str)], family: &Self::Family) -> Result<Self::Series, Reason>;

    /// What a series weighs in memory, about, in bytes.
    fn weight(series: &Self::Series) -> usize;

    /// What has to be known of a series with each of its samples: [`Sample::mark`] tells it without the series itself,
    /// which would have to come from memory.
    fn mark(_series: &Self::Series) -> u32 {
        0
    }
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

/// What a series is at one time.
#[derive(Debug)]
pub enum Sample<S> {
    /// A number and nothing else, which is what nearly all are: no allocation of its own.
    Plain {
        /// The series.
        series: Kept<S>,
        /// The number; [`STALE`] says that the series has ended for now.
        point: Number,
    },
    /// A native histogram, or something with exemplars.
    Rich(Arc<Rich<S>>),
}

/// A number at a time, and what it counts from, as it is written.
pub use weir_remote_write::Sample as Number;

/// A native histogram, or something with exemplars.
#[derive(Debug)]
pub struct Rich<S> {
    /// The series.
    pub series: Kept<S>,
    /// What it is.
    pub point: Point,
    /// Single measurements behind it.
    pub exemplars: Vec<Exemplar>,
}

/// A number or a distribution at a time.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "most are histograms, and all are behind a pointer already")]
pub enum Point {
    /// A number.
    Number(Number),
    /// A native histogram; a sum of [`STALE`] says that the series has ended for now.
    Histogram(Histogram),
}

impl<S> Sample<S> {
    /// The smallest form of a sample.
    #[inline]
    pub(crate) fn new(series: Kept<S>, point: Point, exemplars: Vec<Exemplar>) -> Self {
        match point {
            Point::Number(point) if exemplars.is_empty() => Self::Plain { series, point },
            point => Self::Rich(Arc::new(Rich { series, point, exemplars })),
        }
    }

    /// The series.
    #[inline]
    pub fn series(&self) -> &S {
        match self {
            Self::Plain { series, .. } => series,
            Self::Rich(rich) => &rich.series,
        }
    }

    /// What [`Make::mark`] says of its series.
    #[inline]
    pub fn mark(&self) -> u32 {
        match self {
            Self::Plain { series, .. } => series.mark(),
            Self::Rich(rich) => rich.series.mark(),
        }
    }

    /// When it was taken, in milliseconds since 1970.
    #[inline]
    pub fn timestamp_ms(&self) -> i64 {
        match self {
            Self::Plain { point, .. } => point.timestamp_ms,
            Self::Rich(rich) => match &rich.point {
                Point::Number(point) => point.timestamp_ms,
                Point::Histogram(histogram) => histogram.timestamp_ms,
            },
        }
    }

    /// What is written of it.
    #[inline]
    pub fn points(&self) -> Points<'_> {
        match self {
            Self::Plain { point, .. } => Points::Samples(from_ref(point)),
            Self::Rich(rich) => match &rich.point {
                Point::Number(point) => Points::Samples(from_ref(point)),
                Point::Histogram(histogram) => Points::Histograms(from_ref(histogram)),
            },
        }
    }

    /// Single measurements behind it.
    #[inline]
    pub fn exemplars(&self) -> &[Exemplar] {
        match self {
            Self::Plain { .. } => &[],
            Self::Rich(rich) => &rich.exemplars,
        }
    }

    /// What it takes in memory, in bytes, its series apart.
    #[inline]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Plain { .. } => size_of::<Self>(),
            Self::Rich(rich) => size_of::<Self>() + rich.bytes(),
        }
    }
}

impl<S> Rich<S> {
    fn bytes(&self) -> usize {
        let exemplar = |exemplar: &Exemplar| {
            let labels = exemplar.labels.iter();
            let texts = labels.map(|(name, value)| 2 * size_of::<String>() + name.len() + value.len());
            size_of::<Exemplar>() + texts.sum::<usize>()
        };
        let buckets = match &self.point {
            Point::Number(_) => 0,
            // A span is eight bytes, as are a delta and a bound.
            Point::Histogram(histogram) => {
                let spans = histogram.positive_spans.len() + histogram.negative_spans.len();
                let deltas = histogram.positive_deltas.len() + histogram.negative_deltas.len();
                8 * (spans + deltas + histogram.custom_values.len())
            }
        };
        size_of::<Self>() + buckets + self.exemplars.iter().map(exemplar).sum::<usize>()
    }
}

impl<S> Clone for Sample<S> {
    #[inline]
    fn clone(&self) -> Self {
        match self {
            Self::Plain { series, point } => Self::Plain { series: series.clone(), point: *point },
            Self::Rich(rich) => Self::Rich(rich.clone()),
        }
    }
}

/// Prometheus's staleness marker. Compare the bits: it is a NaN.
pub const STALE: f64 = f64::from_bits(weir_remote_write::STALE_NAN_BITS);

/// Any other NaN, as Prometheus writes it: a payload's own bits must not turn into [`STALE`].
const NAN: f64 = f64::from_bits(0x7ff8_0000_0000_0001);

/// The value as Prometheus takes it.
#[inline]
pub(crate) fn normal(value: f64) -> f64 {
    if value.is_nan() { NAN } else { value }
}
