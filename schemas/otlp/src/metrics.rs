//! Metrics: `opentelemetry/proto/metrics/v1/metrics.proto`.

use crate::common::{Attributes, envelope, request};
use crate::error::{Error, ErrorKind};
use crate::repeated::{Message, Repeated};
use crate::wire::{LEN, Reader, VARINT};

mod points;

pub use points::{
    Buckets, Exemplar, Exemplars, ExponentialHistogramPoint, ExponentialHistogramPoints, HistogramPoint,
    HistogramPoints, Number, NumberPoint, NumberPoints, Quantile, SummaryPoint, SummaryPoints,
};

request! {
    /// `ExportMetricsServiceRequest` or `MetricsData`.
    MetricsRequest(Metrics) { resource_metrics: ResourceMetrics }
}

envelope! {
    /// The metrics of one resource.
    ResourceMetrics { resource: Resource, scope_metrics: ScopeMetrics }
}

envelope! {
    /// The metrics of one instrumentation scope.
    ScopeMetrics { scope: Scope, metrics: Metric }
}

/// One metric: its name and its points.
#[derive(Clone, Copy)]
pub struct Metric<'a> {
    /// Its name.
    pub name: &'a str,
    /// What it measures, for people.
    pub description: &'a str,
    /// Its unit, in UCUM.
    pub unit: &'a str,
    /// Its points, by kind.
    pub data: MetricData<'a>,
    /// What is known about it beyond its points.
    pub metadata: Attributes<'a>,
}

/// The points of a metric, by kind.
#[derive(Clone, Copy)]
pub enum MetricData<'a> {
    /// No points, or a kind that does not exist yet.
    None,
    /// The last value of something.
    Gauge(NumberPoints<'a>),
    /// The sum of something.
    Sum {
        /// Its points.
        points: NumberPoints<'a>,
        /// What a point's value counts from.
        temporality: Temporality,
        /// Whether it never goes down.
        monotonic: bool,
    },
    /// A distribution over buckets with explicit bounds.
    Histogram {
        /// Its points.
        points: HistogramPoints<'a>,
        /// What a point's counts count from.
        temporality: Temporality,
    },
    /// A distribution over buckets that grow exponentially.
    ExponentialHistogram {
        /// Its points.
        points: ExponentialHistogramPoints<'a>,
        /// What a point's counts count from.
        temporality: Temporality,
    },
    /// A distribution by quantiles.
    Summary(SummaryPoints<'a>),
}

/// What the values of a sum or histogram count from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Temporality {
    /// Not said, or a number without meaning.
    Unspecified,
    /// From the point before.
    Delta,
    /// From a fixed start.
    Cumulative,
}

impl From<i32> for Temporality {
    #[inline]
    fn from(number: i32) -> Self {
        match number {
            1 => Self::Delta,
            2 => Self::Cumulative,
            _ => Self::Unspecified,
        }
    }
}

impl<'a> Message<'a> for Metric<'a> {
    #[inline]
    fn parse(mut r: Reader<'a>) -> Result<Self, Error> {
        let (mut name, mut description, mut unit) = ("", "", "");
        let mut data = MetricData::None;
        let mut metadata = Repeated::new(&r, 12);
        while let Some(f) = r.field()? {
            match (f.number, f.wire) {
                (1, LEN) => name = r.string()?,
                (2, LEN) => description = r.string()?,
                (3, LEN) => unit = r.string()?,
                (5 | 7 | 9 | 10 | 11, LEN) if data.is(f.number) => {
                    return Err(r.fail(ErrorKind::Repeated, f.at));
                }
                (5, LEN) => data = MetricData::Gauge(Data::parse(r.message()?)?.points),
                (7, LEN) => {
                    let Data { points, temporality, monotonic } = Data::parse(r.message()?)?;
                    data = MetricData::Sum { points, temporality, monotonic };
                }
                (9, LEN) => {
                    let Data { points, temporality, .. } = Data::parse(r.message()?)?;
                    data = MetricData::Histogram { points, temporality };
                }
                (10, LEN) => {
                    let Data { points, temporality, .. } = Data::parse(r.message()?)?;
                    data = MetricData::ExponentialHistogram { points, temporality };
                }
                (11, LEN) => data = MetricData::Summary(Data::parse(r.message()?)?.points),
                (12, LEN) => metadata.push(&mut r, f)?,
                (1..=3 | 5 | 7 | 9..=12, _) => return Err(r.bad_wire_type(f)),
                _ => r.skip(f)?,
            }
        }
        Ok(Self { name, description, unit, data, metadata })
    }
}

impl MetricData<'_> {
    /// Whether these are the points of the field with this number.
    #[inline]
    fn is(&self, number: u32) -> bool {
        number
            == match self {
                Self::None => 0,
                Self::Gauge(_) => 5,
                Self::Sum { .. } => 7,
                Self::Histogram { .. } => 9,
                Self::ExponentialHistogram { .. } => 10,
                Self::Summary(_) => 11,
            }
    }
}

/// All kinds of points at once: `Sum` has all these fields, the others have
/// the first of them under the same numbers. What a kind does not have is read
/// and let go.
struct Data<'a, P> {
    points: Repeated<'a, P>,
    temporality: Temporality,
    monotonic: bool,
}

impl<'a, P> Message<'a> for Data<'a, P> {
    #[inline]
    fn parse(mut r: Reader<'a>) -> Result<Self, Error> {
        let mut points = Repeated::new(&r, 1);
        let (mut temporality, mut monotonic) = (0, false);
        while let Some(f) = r.field()? {
            match (f.number, f.wire) {
                (1, LEN) => points.push(&mut r, f)?,
                (2, VARINT) => temporality = r.varint_i32()?,
                (3, VARINT) => monotonic = r.bool()?,
                (1, _) => return Err(r.bad_wire_type(f)),
                _ => r.skip(f)?,
            }
        }
        Ok(Self { points, temporality: temporality.into(), monotonic })
    }
}
