//! Adding deltas up.

use crate::delta::{Distribution, Explicit, Total};
use crate::native::{Exponential, Overall, SCHEMA_MAX, Side};
use crate::refusal::Reason;

/// So many buckets a total has on each side of zero, at most: the Collector's, and what SDKs make of 160.
const BUCKETS_MAX: usize = 160;
/// So many bounds a total has, at most: what is written of it then is a fifth of what a changelog takes.
const BOUNDS_MAX: usize = 10_000;

/// What comes of a total and a delta.
pub(super) enum Sum {
    /// Both together.
    Goes(Total),
    /// The delta alone: it cannot be added to what there was.
    Anew(Total),
}

impl Total {
    /// As the first of a series.
    pub(super) fn first(self) -> Result<Self, Reason> {
        match self {
            Self::Explicit(delta) if delta.bounds.len() > BOUNDS_MAX => Err(Reason::DeltaTooManyBuckets),
            Self::Exponential(delta) => Ok(Self::Exponential(Box::new(delta.limited()?))),
            delta => Ok(delta),
        }
    }

    pub(super) fn add(self, delta: Self) -> Result<Sum, Reason> {
        Ok(Sum::Goes(match (self, delta) {
            (Self::Int(total), Self::Int(delta)) => match total.checked_add(delta) {
                Some(sum) => Self::Int(sum),
                None => Self::Double(total as f64 + delta as f64),
            },
            (Self::Int(total), Self::Double(delta)) => Self::Double(total as f64 + delta),
            (Self::Double(total), Self::Int(delta)) => Self::Double(total + delta as f64),
            (Self::Double(total), Self::Double(delta)) => Self::Double(total + delta),
            (Self::Explicit(mut total), Self::Explicit(delta)) => {
                if !total.has_bounds_of(&delta) {
                    return Ok(Sum::Anew(Self::Explicit(delta).first()?));
                }
                total.add(&delta)?;
                Self::Explicit(total)
            }
            (Self::Exponential(total), Self::Exponential(delta)) => Self::Exponential(Box::new(total.add(*delta)?)),
            // Kinds have keys of their own.
            (_, delta) => return Ok(Sum::Anew(delta.first()?)),
        }))
    }
}

impl Explicit {
    fn has_bounds_of(&self, other: &Self) -> bool {
        let bits = |bound: &f64| bound.to_bits();
        self.counts.len() == other.counts.len() && self.bounds.iter().map(bits).eq(other.bounds.iter().map(bits))
    }

    fn add(&mut self, delta: &Self) -> Result<(), Reason> {
        for (total, delta) in self.counts.iter_mut().zip(&delta.counts) {
            *total = plus(*total, *delta)?;
        }
        self.count = plus(self.count, delta.count)?;
        self.sum = both(self.sum, delta.sum);
        Ok(())
    }
}

/// A delta as it can be added to others: no finer than a native histogram, which is what comes of it.
///
/// # Errors
/// Its buckets do not add up to its count, or are beyond all numbers.
pub(crate) fn exponential(exponential: &Exponential, overall: &Overall) -> Result<Total, Reason> {
    let down = exponential.scale.saturating_sub(SCHEMA_MAX).max(0).unsigned_abs();
    let threshold = exponential.zero_threshold;
    let buckets = Exponential {
        scale: exponential.scale.min(SCHEMA_MAX),
        zero_count: exponential.zero_count,
        zero_threshold: if threshold.is_finite() && threshold > 0.0 { threshold } else { 0.0 },
        positive: exponential.positive.downscaled(down)?,
        negative: exponential.negative.downscaled(down)?,
    };
    let counts = buckets.positive.counts.iter().chain(&buckets.negative.counts);
    if counts.copied().try_fold(buckets.zero_count, plus)? != overall.count {
        return Err(Reason::BucketSumMismatch);
    }
    Ok(Total::Exponential(Box::new(Distribution::new(buckets, overall.count, overall.sum))))
}

impl Distribution {
    fn new(buckets: Exponential, count: u64, sum: Option<f64>) -> Self {
        let Exponential { scale, zero_count, zero_threshold, positive, negative } = buckets;
        Self {
            scale,
            zero_threshold,
            zero_count,
            positive_offset: positive.offset,
            positive: positive.counts,
            negative_offset: negative.offset,
            negative: negative.counts,
            count,
            sum,
        }
    }

    /// Its buckets.
    pub(crate) fn buckets(self) -> Exponential {
        Exponential {
            scale: self.scale,
            zero_count: self.zero_count,
            zero_threshold: self.zero_threshold,
            positive: Side { offset: self.positive_offset, counts: self.positive },
            negative: Side { offset: self.negative_offset, counts: self.negative },
        }
    }

    fn add(self, delta: Self) -> Result<Self, Reason> {
        let (count, sum) = (plus(self.count, delta.count)?, both(self.sum, delta.sum));
        let (total, delta) = (self.buckets(), delta.buckets());
        let scale = total.scale.min(delta.scale);
        let (mut total, mut delta) = (total.at(scale)?, delta.at(scale)?);
        let threshold = total.zero_threshold.max(delta.zero_threshold);
        if total.zero_threshold.to_bits() != delta.zero_threshold.to_bits() {
            total.widen_zero(threshold)?;
            delta.widen_zero(threshold)?;
        }
        total.zero_count = plus(total.zero_count, delta.zero_count)?;
        total.positive = total.positive.plus(&delta.positive)?;
        total.negative = total.negative.plus(&delta.negative)?;
        Self::new(total, count, sum).limited()
    }

    /// Coarser, until it has few enough buckets.
    fn limited(self) -> Result<Self, Reason> {
        let (count, sum) = (self.count, self.sum);
        let mut buckets = self.buckets();
        (buckets.positive, buckets.negative) = (buckets.positive.trimmed()?, buckets.negative.trimmed()?);
        while buckets.positive.counts.len().max(buckets.negative.counts.len()) > BUCKETS_MAX {
            let coarser = buckets.scale - 1;
            buckets = buckets.at(coarser)?;
        }
        Ok(Self::new(buckets, count, sum))
    }
}

impl Exponential {
    /// At a scale that is not finer.
    fn at(self, scale: i32) -> Result<Self, Reason> {
        let down = self.scale.saturating_sub(scale).max(0).unsigned_abs();
        let (positive, negative) = (self.positive.downscaled(down)?, self.negative.downscaled(down)?);
        Ok(Self { scale, positive, negative, ..self })
    }

    /// Counts as zero what is in the bucket of `threshold` and in those nearer to zero.
    fn widen_zero(&mut self, threshold: f64) -> Result<(), Reason> {
        let last = index_of(threshold, self.scale);
        for side in [&mut self.positive, &mut self.negative] {
            let inside = usize::try_from(last.saturating_add(1) - i64::from(side.offset)).unwrap_or_default();
            let inside = inside.min(side.counts.len());
            for count in side.counts.drain(..inside) {
                self.zero_count = plus(self.zero_count, count)?;
            }
            let offset = i64::from(side.offset) + i64::try_from(inside).unwrap_or(i64::MAX);
            side.offset = i32::try_from(offset).map_err(|_| Reason::BucketIndexOutOfRange)?;
        }
        // The upper bound of that bucket.
        self.zero_threshold = ((last as f64 + 1.0) * f64::from(-self.scale).exp2()).exp2();
        Ok(())
    }
}

impl Side {
    /// Without empty buckets at its ends.
    fn trimmed(mut self) -> Result<Self, Reason> {
        let Some(first) = self.counts.iter().position(|count| *count > 0) else { return Ok(Self::default()) };
        let end = self.counts.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1);
        self.counts.truncate(end);
        self.counts.drain(..first);
        let offset = i64::from(self.offset) + i64::try_from(first).unwrap_or(i64::MAX);
        Ok(Self { offset: i32::try_from(offset).map_err(|_| Reason::BucketIndexOutOfRange)?, ..self })
    }

    /// With the buckets of another one of the same scale. Both are near each other, or it would not be worth one array.
    fn plus(self, other: &Self) -> Result<Self, Reason> {
        let (mut this, other) = (self.trimmed()?, other.clone().trimmed()?);
        if this.counts.is_empty() {
            return Ok(other);
        }
        if other.counts.is_empty() {
            return Ok(this);
        }
        let end = |side: &Self| i64::from(side.offset) + i64::try_from(side.counts.len()).unwrap_or(i64::MAX);
        let offset = this.offset.min(other.offset);
        let len = usize::try_from(end(&this).max(end(&other)) - i64::from(offset)).unwrap_or(usize::MAX);
        if len > SPREAD_MAX {
            return Err(Reason::BucketIndexOutOfRange);
        }
        let lead = usize::try_from(i64::from(this.offset) - i64::from(offset)).unwrap_or_default();
        this.counts.splice(..0, std::iter::repeat_n(0, lead));
        this.counts.resize(len, 0);
        let lead = usize::try_from(i64::from(other.offset) - i64::from(offset)).unwrap_or_default();
        for (total, delta) in this.counts.iter_mut().skip(lead).zip(&other.counts) {
            *total = plus(*total, *delta)?;
        }
        Ok(Self { offset, counts: this.counts })
    }
}

/// Buckets between the smallest and the greatest number there is, at the finest scale of native histograms, and some.
const SPREAD_MAX: usize = 1 << 20;

/// The index of the bucket that a number above 0 falls into; bounds belong to the bucket below them.
fn index_of(value: f64, scale: i32) -> i64 {
    const EXPONENT_BITS: u64 = 0x7ff;
    // Numbers near 0 have fewer digits; 2^54 times them have all.
    let (normal, shift) = if value < f64::MIN_POSITIVE { (value * f64::from(54).exp2(), 54) } else { (value, 0) };
    let bits = normal.to_bits();
    let exponent = ((bits >> 52) & EXPONENT_BITS).cast_signed() - 1023 - shift;
    let is_power = bits & ((1 << 52) - 1) == 0;
    let below = if is_power { exponent - 1 } else { exponent };
    match u32::try_from(scale) {
        Err(_) => below >> scale.unsigned_abs().min(63),
        Ok(scale) if is_power => (exponent << scale.min(32)) - 1,
        #[expect(clippy::cast_possible_truncation, reason = "within 1100 times 2^8")]
        Ok(_) => (value.ln() * std::f64::consts::LOG2_E * f64::from(scale).exp2()).floor() as i64,
    }
}

fn plus(total: u64, delta: u64) -> Result<u64, Reason> {
    total.checked_add(delta).ok_or(Reason::BucketSumMismatch)
}

/// A sum is known as long as all of its parts are.
fn both(total: Option<f64>, delta: Option<f64>) -> Option<f64> {
    total.zip(delta).map(|(total, delta)| total + delta)
}
