//! The points of metrics.

use crate::common::Attributes;
use crate::error::Error;
use crate::repeated::{F64s, Message, Repeated, Scalars, U64s, VarintU64s, singular};
use crate::wire::{I64, LEN, Reader, VARINT};

/// The points of a gauge or a sum.
pub type NumberPoints<'a> = Repeated<'a, NumberPoint<'a>>;
/// The points of a histogram.
pub type HistogramPoints<'a> = Repeated<'a, HistogramPoint<'a>>;
/// The points of an exponential histogram.
pub type ExponentialHistogramPoints<'a> = Repeated<'a, ExponentialHistogramPoint<'a>>;
/// The points of a summary.
pub type SummaryPoints<'a> = Repeated<'a, SummaryPoint<'a>>;
/// Single measurements behind a point.
pub type Exemplars<'a> = Repeated<'a, Exemplar<'a>>;

/// The value of a point or an exemplar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// An integer.
    Int(i64),
    /// A floating-point number.
    Double(f64),
}

/// One value of a gauge or sum.
#[derive(Clone, Copy)]
pub struct NumberPoint<'a> {
    /// What tells it from other points of the metric.
    pub attributes: Attributes<'a>,
    /// What the value counts from, in nanoseconds since 1970; 0 if unknown.
    pub start_time_unix_nano: u64,
    /// When it was taken, in nanoseconds since 1970.
    pub time_unix_nano: u64,
    /// The value, if there is one.
    pub value: Option<Number>,
    /// Bit 0: no value was recorded.
    pub flags: u32,
    /// Single measurements behind it.
    pub exemplars: Exemplars<'a>,
}

impl<'a> Message<'a> for NumberPoint<'a> {
    #[inline]
    fn parse(mut r: Reader<'a>) -> Result<Self, Error> {
        let mut point = Self {
            attributes: Repeated::new(&r, 7),
            start_time_unix_nano: 0,
            time_unix_nano: 0,
            value: None,
            flags: 0,
            exemplars: Repeated::new(&r, 5),
        };
        while let Some(f) = r.field()? {
            match (f.number, f.wire) {
                (7, LEN) => point.attributes.push(&mut r, f)?,
                (2, I64) => point.start_time_unix_nano = r.fixed64()?,
                (3, I64) => point.time_unix_nano = r.fixed64()?,
                (4, I64) => point.value = Some(Number::Double(r.double()?)),
                (6, I64) => point.value = Some(Number::Int(r.fixed64()?.cast_signed())),
                (5, LEN) => point.exemplars.push(&mut r, f)?,
                (8, VARINT) => point.flags = r.varint_u32()?,
                (2..=8, _) => return Err(r.bad_wire_type(f)),
                _ => r.skip(f)?,
            }
        }
        Ok(point)
    }
}

/// One distribution over buckets with explicit bounds.
#[derive(Clone, Copy)]
pub struct HistogramPoint<'a> {
    /// What tells it from other points of the metric.
    pub attributes: Attributes<'a>,
    /// What the counts count from, in nanoseconds since 1970; 0 if unknown.
    pub start_time_unix_nano: u64,
    /// When it was taken, in nanoseconds since 1970.
    pub time_unix_nano: u64,
    /// How many measurements.
    pub count: u64,
    /// Their sum, if known.
    pub sum: Option<f64>,
    /// How many measurements in each bucket.
    pub bucket_counts: U64s<'a>,
    /// The upper bounds of all buckets but the last.
    pub explicit_bounds: F64s<'a>,
    /// Single measurements behind it.
    pub exemplars: Exemplars<'a>,
    /// Bit 0: no value was recorded.
    pub flags: u32,
    /// The smallest measurement, if known.
    pub min: Option<f64>,
    /// The greatest measurement, if known.
    pub max: Option<f64>,
}

impl<'a> Message<'a> for HistogramPoint<'a> {
    #[inline]
    fn parse(mut r: Reader<'a>) -> Result<Self, Error> {
        let mut point = Self {
            attributes: Repeated::new(&r, 9),
            start_time_unix_nano: 0,
            time_unix_nano: 0,
            count: 0,
            sum: None,
            bucket_counts: Scalars::new(&r, 6),
            explicit_bounds: Scalars::new(&r, 7),
            exemplars: Repeated::new(&r, 8),
            flags: 0,
            min: None,
            max: None,
        };
        while let Some(f) = r.field()? {
            match (f.number, f.wire) {
                (9, LEN) => point.attributes.push(&mut r, f)?,
                (2, I64) => point.start_time_unix_nano = r.fixed64()?,
                (3, I64) => point.time_unix_nano = r.fixed64()?,
                (4, I64) => point.count = r.fixed64()?,
                (5, I64) => point.sum = Some(r.double()?),
                (6, _) => point.bucket_counts.push(&mut r, f)?,
                (7, _) => point.explicit_bounds.push(&mut r, f)?,
                (8, LEN) => point.exemplars.push(&mut r, f)?,
                (10, VARINT) => point.flags = r.varint_u32()?,
                (11, I64) => point.min = Some(r.double()?),
                (12, I64) => point.max = Some(r.double()?),
                (2..=12, _) => return Err(r.bad_wire_type(f)),
                _ => r.skip(f)?,
            }
        }
        Ok(point)
    }
}

/// One distribution over buckets that grow exponentially.
#[derive(Clone, Copy)]
pub struct ExponentialHistogramPoint<'a> {
    /// What tells it from other points of the metric.
    pub attributes: Attributes<'a>,
    /// What the counts count from, in nanoseconds since 1970; 0 if unknown.
    pub start_time_unix_nano: u64,
    /// When it was taken, in nanoseconds since 1970.
    pub time_unix_nano: u64,
    /// How many measurements.
    pub count: u64,
    /// Their sum, if known.
    pub sum: Option<f64>,
    /// Bucket bounds are powers of 2^(2^-scale).
    pub scale: i32,
    /// How many measurements in the zero bucket.
    pub zero_count: u64,
    /// The buckets of positive measurements; empty if absent.
    pub positive: Buckets<'a>,
    /// The buckets of negative measurements; empty if absent.
    pub negative: Buckets<'a>,
    /// Bit 0: no value was recorded.
    pub flags: u32,
    /// Single measurements behind it.
    pub exemplars: Exemplars<'a>,
    /// The smallest measurement, if known.
    pub min: Option<f64>,
    /// The greatest measurement, if known.
    pub max: Option<f64>,
    /// The zero bucket covers this distance from zero, on both sides.
    pub zero_threshold: f64,
}

impl<'a> Message<'a> for ExponentialHistogramPoint<'a> {
    #[inline]
    fn parse(mut r: Reader<'a>) -> Result<Self, Error> {
        let none = Buckets::parse(r.empty())?;
        let (mut positive, mut negative) = (None, None);
        let mut point = Self {
            attributes: Repeated::new(&r, 1),
            start_time_unix_nano: 0,
            time_unix_nano: 0,
            count: 0,
            sum: None,
            scale: 0,
            zero_count: 0,
            positive: none,
            negative: none,
            flags: 0,
            exemplars: Repeated::new(&r, 11),
            min: None,
            max: None,
            zero_threshold: 0.0,
        };
        while let Some(f) = r.field()? {
            match (f.number, f.wire) {
                (1, LEN) => point.attributes.push(&mut r, f)?,
                (2, I64) => point.start_time_unix_nano = r.fixed64()?,
                (3, I64) => point.time_unix_nano = r.fixed64()?,
                (4, I64) => point.count = r.fixed64()?,
                (5, I64) => point.sum = Some(r.double()?),
                (6, VARINT) => point.scale = r.zigzag_i32()?,
                (7, I64) => point.zero_count = r.fixed64()?,
                (8, LEN) => singular(&mut positive, &mut r, f)?,
                (9, LEN) => singular(&mut negative, &mut r, f)?,
                (10, VARINT) => point.flags = r.varint_u32()?,
                (11, LEN) => point.exemplars.push(&mut r, f)?,
                (12, I64) => point.min = Some(r.double()?),
                (13, I64) => point.max = Some(r.double()?),
                (14, I64) => point.zero_threshold = r.double()?,
                (1..=14, _) => return Err(r.bad_wire_type(f)),
                _ => r.skip(f)?,
            }
        }
        point.positive = positive.unwrap_or(none);
        point.negative = negative.unwrap_or(none);
        Ok(point)
    }
}

/// The buckets on one side of zero.
#[derive(Clone, Copy)]
pub struct Buckets<'a> {
    /// The index of the first bucket.
    pub offset: i32,
    /// How many measurements in each bucket.
    pub bucket_counts: VarintU64s<'a>,
}

impl<'a> Message<'a> for Buckets<'a> {
    #[inline]
    fn parse(mut r: Reader<'a>) -> Result<Self, Error> {
        let mut buckets = Self { offset: 0, bucket_counts: Scalars::new(&r, 2) };
        while let Some(f) = r.field()? {
            match (f.number, f.wire) {
                (1, VARINT) => buckets.offset = r.zigzag_i32()?,
                (2, _) => buckets.bucket_counts.push(&mut r, f)?,
                (1, _) => return Err(r.bad_wire_type(f)),
                _ => r.skip(f)?,
            }
        }
        Ok(buckets)
    }
}

/// One distribution by quantiles.
#[derive(Clone, Copy)]
pub struct SummaryPoint<'a> {
    /// What tells it from other points of the metric.
    pub attributes: Attributes<'a>,
    /// What the counts count from, in nanoseconds since 1970; 0 if unknown.
    pub start_time_unix_nano: u64,
    /// When it was taken, in nanoseconds since 1970.
    pub time_unix_nano: u64,
    /// How many measurements.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// The quantiles.
    pub quantile_values: Repeated<'a, Quantile>,
    /// Bit 0: no value was recorded.
    pub flags: u32,
}

impl<'a> Message<'a> for SummaryPoint<'a> {
    #[inline]
    fn parse(mut r: Reader<'a>) -> Result<Self, Error> {
        let mut point = Self {
            attributes: Repeated::new(&r, 7),
            start_time_unix_nano: 0,
            time_unix_nano: 0,
            count: 0,
            sum: 0.0,
            quantile_values: Repeated::new(&r, 6),
            flags: 0,
        };
        while let Some(f) = r.field()? {
            match (f.number, f.wire) {
                (7, LEN) => point.attributes.push(&mut r, f)?,
                (2, I64) => point.start_time_unix_nano = r.fixed64()?,
                (3, I64) => point.time_unix_nano = r.fixed64()?,
                (4, I64) => point.count = r.fixed64()?,
                (5, I64) => point.sum = r.double()?,
                (6, LEN) => point.quantile_values.push(&mut r, f)?,
                (8, VARINT) => point.flags = r.varint_u32()?,
                (2..=8, _) => return Err(r.bad_wire_type(f)),
                _ => r.skip(f)?,
            }
        }
        Ok(point)
    }
}

/// What a share of all measurements does not exceed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantile {
    /// The share, 0 to 1.
    pub quantile: f64,
    /// What it does not exceed.
    pub value: f64,
}

impl<'a> Message<'a> for Quantile {
    #[inline]
    fn parse(mut r: Reader<'a>) -> Result<Self, Error> {
        let mut quantile = Self { quantile: 0.0, value: 0.0 };
        while let Some(f) = r.field()? {
            match (f.number, f.wire) {
                (1, I64) => quantile.quantile = r.double()?,
                (2, I64) => quantile.value = r.double()?,
                (1 | 2, _) => return Err(r.bad_wire_type(f)),
                _ => r.skip(f)?,
            }
        }
        Ok(quantile)
    }
}

/// A single measurement behind a point.
#[derive(Clone, Copy)]
pub struct Exemplar<'a> {
    /// Attributes of the measurement that the point does not have.
    pub filtered_attributes: Attributes<'a>,
    /// When it was taken, in nanoseconds since 1970.
    pub time_unix_nano: u64,
    /// The value, if there is one.
    pub value: Option<Number>,
    /// The span that was active, 8 bytes or none.
    pub span_id: &'a [u8],
    /// The trace that was active, 16 bytes or none.
    pub trace_id: &'a [u8],
}

impl<'a> Message<'a> for Exemplar<'a> {
    #[inline]
    fn parse(mut r: Reader<'a>) -> Result<Self, Error> {
        let mut exemplar = Self {
            filtered_attributes: Repeated::new(&r, 7),
            time_unix_nano: 0,
            value: None,
            span_id: &[],
            trace_id: &[],
        };
        while let Some(f) = r.field()? {
            match (f.number, f.wire) {
                (7, LEN) => exemplar.filtered_attributes.push(&mut r, f)?,
                (2, I64) => exemplar.time_unix_nano = r.fixed64()?,
                (3, I64) => exemplar.value = Some(Number::Double(r.double()?)),
                (6, I64) => exemplar.value = Some(Number::Int(r.fixed64()?.cast_signed())),
                (4, LEN) => exemplar.span_id = r.bytes()?,
                (5, LEN) => exemplar.trace_id = r.bytes()?,
                (2..=7, _) => return Err(r.bad_wire_type(f)),
                _ => r.skip(f)?,
            }
        }
        Ok(exemplar)
    }
}
