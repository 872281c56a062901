//! Distributions to native histograms, as Prometheus's own converter lays out their buckets.
//!
//! Specification: <https://prometheus.io/docs/specs/native_histograms/>.

use weir_otlp::{Buckets, ExponentialHistogramPoint, HistogramPoint};
use weir_remote_write::{BucketSpan, Count, Histogram, ResetHint, ZeroCount};

use crate::points::NO_RECORDED_VALUE;
use crate::refusal::Reason;
use crate::series::{STALE, normal};
use crate::translate::millis;

/// The finest resolution that there is.
pub(crate) const SCHEMA_MAX: i32 = 8;
/// The coarsest.
const SCHEMA_MIN: i32 = -4;
/// Buckets with bounds of their own.
const SCHEMA_CUSTOM: i32 = -53;
/// How broad the zero bucket is said to be, whatever the sender says.
const ZERO_THRESHOLD: f64 = 1e-128;
/// Up to so many empty buckets are written as such; more are a gap between spans.
const EMPTY_MAX: usize = 2;

/// What all distributions have, wherever their buckets are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Overall {
    /// Its time, in nanoseconds since 1970.
    pub(crate) time: u64,
    /// What it counts from, in nanoseconds since 1970; 0 if unknown.
    pub(crate) start: u64,
    pub(crate) flags: u32,
    pub(crate) count: u64,
    pub(crate) sum: Option<f64>,
}

/// The buckets on one side of zero: the index of the first, and what is in each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Side {
    pub(crate) offset: i32,
    pub(crate) counts: Vec<u64>,
}

/// The buckets of an exponential histogram.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Exponential {
    pub(crate) scale: i32,
    pub(crate) zero_count: u64,
    pub(crate) zero_threshold: f64,
    pub(crate) positive: Side,
    pub(crate) negative: Side,
}

impl From<&HistogramPoint<'_>> for Overall {
    fn from(point: &HistogramPoint<'_>) -> Self {
        let (time, start) = (point.time_unix_nano, point.start_time_unix_nano);
        Self { time, start, flags: point.flags, count: point.count, sum: point.sum }
    }
}

impl From<&ExponentialHistogramPoint<'_>> for Overall {
    fn from(point: &ExponentialHistogramPoint<'_>) -> Self {
        let (time, start) = (point.time_unix_nano, point.start_time_unix_nano);
        Self { time, start, flags: point.flags, count: point.count, sum: point.sum }
    }
}

impl From<Buckets<'_>> for Side {
    fn from(buckets: Buckets<'_>) -> Self {
        Self { offset: buckets.offset, counts: buckets.bucket_counts.iter().collect() }
    }
}

impl Exponential {
    /// The buckets of a point.
    ///
    /// # Errors
    /// They are coarser than a native histogram's can be.
    pub(crate) fn new(point: &ExponentialHistogramPoint<'_>) -> Result<Self, Reason> {
        if point.scale < SCHEMA_MIN {
            return Err(Reason::ScaleTooLow);
        }
        Ok(Self {
            scale: point.scale,
            zero_count: point.zero_count,
            zero_threshold: point.zero_threshold,
            positive: point.positive.into(),
            negative: point.negative.into(),
        })
    }

    /// As a native histogram, downscaled by merging buckets where it is finer than that can be.
    ///
    /// # Errors
    /// Its buckets do not add up to its count, or are beyond all numbers.
    pub(crate) fn native(&self, overall: &Overall) -> Result<Histogram, Reason> {
        if self.scale < SCHEMA_MIN {
            return Err(Reason::ScaleTooLow);
        }
        let down = self.scale.saturating_sub(SCHEMA_MAX).max(0).unsigned_abs();
        let sides = [self.positive.downscaled(down)?, self.negative.downscaled(down)?];
        let counts = sides.iter().flat_map(|side| side.counts.iter().copied());
        check_count(overall, counts.chain([self.zero_count]))?;
        let [positive, negative] = sides.map(|side| side.layout(1).ok_or(Reason::BucketIndexOutOfRange));
        let (positive_spans, positive_deltas) = positive?;
        let (negative_spans, negative_deltas) = negative?;
        Ok(Histogram {
            schema: self.scale.min(SCHEMA_MAX),
            zero_threshold: ZERO_THRESHOLD,
            zero_count: Some(ZeroCount::Int(self.zero_count)),
            positive_spans,
            positive_deltas,
            negative_spans,
            negative_deltas,
            ..empty(overall)
        })
    }
}

/// A histogram with bounds of its own as a native one; `counts` has one more than `bounds`, or neither has any.
///
/// # Errors
/// Its buckets do not add up to its count, or it has an infinite bound but for the last.
pub(crate) fn custom(overall: &Overall, mut bounds: Vec<f64>, mut counts: Vec<u64>) -> Result<Histogram, Reason> {
    if bounds.last() == Some(&f64::INFINITY) {
        // The last bucket says the same.
        bounds.pop();
        let beyond = counts.pop().unwrap_or_default();
        if let Some(last) = counts.last_mut() {
            *last = last.checked_add(beyond).ok_or(Reason::BucketSumMismatch)?;
        }
    }
    if bounds.first() == Some(&f64::NEG_INFINITY) {
        return Err(Reason::UnsortedBounds);
    }
    if counts.is_empty() {
        counts.push(if overall.flags & NO_RECORDED_VALUE == 0 { overall.count } else { 0 });
    }
    check_count(overall, counts.iter().copied())?;
    let first = counts.iter().position(|count| *count > 0).unwrap_or(counts.len());
    let offset = i32::try_from(first).map_err(|_| Reason::BucketIndexOutOfRange)?;
    let side = Side { offset, counts: counts.split_off(first) };
    let (positive_spans, positive_deltas) = side.layout(0).ok_or(Reason::BucketIndexOutOfRange)?;
    Ok(Histogram {
        schema: SCHEMA_CUSTOM,
        zero_count: Some(ZeroCount::Int(0)),
        positive_spans,
        positive_deltas,
        custom_values: bounds,
        ..empty(overall)
    })
}

/// A native histogram without buckets.
///
/// Whether the counter was reset is for the receiver to find out: it believes a hint, and a wrong one does harm.
fn empty(overall: &Overall) -> Histogram {
    let stale = overall.flags & NO_RECORDED_VALUE != 0;
    let (count, sum) = if stale { (STALE.to_bits(), STALE) } else { (overall.count, overall.sum.map_or(0.0, normal)) };
    Histogram {
        count: Some(Count::Int(count)),
        sum,
        reset_hint: ResetHint::Unknown.into(),
        timestamp_ms: millis(overall.time),
        start_timestamp_ms: millis(overall.start),
        ..Histogram::default()
    }
}

/// Receivers refuse a histogram whose buckets are not its count; with a sum that is not a number, whose buckets are
/// more than it.
fn check_count(overall: &Overall, mut counts: impl Iterator<Item = u64>) -> Result<(), Reason> {
    if overall.flags & NO_RECORDED_VALUE != 0 {
        return Ok(());
    }
    let total = counts.try_fold(0_u64, |total, count| {
        i64::try_from(count).ok()?;
        total.checked_add(count)
    });
    let fits = |total| {
        if overall.sum.is_some_and(f64::is_nan) { total <= overall.count } else { total == overall.count }
    };
    if total.is_some_and(fits) { Ok(()) } else { Err(Reason::BucketSumMismatch) }
}

impl Side {
    /// With each 2^`down` buckets merged into one.
    ///
    /// # Errors
    /// They hold more than 64 bits can say.
    pub(crate) fn downscaled(&self, down: u32) -> Result<Self, Reason> {
        if down == 0 {
            return Ok(self.clone());
        }
        let index = |index: i64| index >> down.min(63);
        let first = index(i64::from(self.offset));
        let mut counts: Vec<u64> = Vec::new();
        for (at, count) in (i64::from(self.offset)..).zip(&self.counts) {
            let position = usize::try_from(index(at) - first).unwrap_or_default();
            if counts.len() <= position {
                counts.push(0);
            }
            if let Some(merged) = counts.last_mut() {
                *merged = merged.checked_add(*count).ok_or(Reason::BucketSumMismatch)?;
            }
        }
        Ok(Self { offset: i32::try_from(first).map_err(|_| Reason::BucketIndexOutOfRange)?, counts })
    }

    /// Spans and deltas, the first bucket's index moved by `shift`; none if an index does not fit.
    ///
    /// Every bucket stands for its upper bound, and so one index higher than in OTLP, where it stands for its lower one.
    fn layout(&self, shift: i32) -> Option<(Vec<BucketSpan>, Vec<i64>)> {
        let mut layout = Layout::default();
        let Some((&first, rest)) = self.counts.split_first() else { return Some((layout.spans, layout.deltas)) };
        let offset = self.offset.checked_add(shift)?;
        offset.checked_add(i32::try_from(self.counts.len()).ok()?)?;
        layout.spans.push(BucketSpan { offset, length: 0 });
        // Buckets before `at` are written; `count` is what the next one that is not empty holds.
        let (mut at, mut count) = (0, first);
        for (index, &next) in (1..).zip(rest) {
            if count > 0 {
                layout.push(index - at - 1, count)?;
                at = index;
            }
            count = next;
        }
        layout.push(self.counts.len() - 1 - at, count)?;
        Some((layout.spans, layout.deltas))
    }
}

/// Spans and deltas under construction.
#[derive(Default)]
struct Layout {
    spans: Vec<BucketSpan>,
    deltas: Vec<i64>,
    before: i64,
}

impl Layout {
    /// Appends a bucket behind `gap` empty ones.
    fn push(&mut self, gap: usize, count: u64) -> Option<()> {
        if gap > EMPTY_MAX {
            self.spans.push(BucketSpan { offset: i32::try_from(gap).ok()?, length: 0 });
        } else {
            (0..gap).for_each(|_| self.put(0));
        }
        // A stale histogram's may be any.
        self.put(i64::try_from(count).unwrap_or(i64::MAX));
        Some(())
    }

    fn put(&mut self, count: i64) {
        if let Some(span) = self.spans.last_mut() {
            span.length += 1;
        }
        self.deltas.push(count - self.before);
        self.before = count;
    }
}

#[cfg(test)]
mod tests;
