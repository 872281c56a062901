//! Points to samples.

use std::sync::Arc;

use weir_otlp::{Attributes, Error, HistogramPoint, Metric, Number, NumberPoint, Repeated, SummaryPoint};

use crate::cache::Target;
use crate::labels::{Draft, NAME};
use crate::refusal::Reason;
use crate::resource::{Problem, point_labels};
use crate::series::{Make, STALE, Sample, normal};
use crate::text::bound;
use crate::translate::{Out, Owner, Translator, millis};

/// The flag of a point that says that no value was recorded.
const NO_RECORDED_VALUE: u32 = 1;

/// A point of one kind found what one of another kind became. A family has one kind, so there is
/// no such point; if there were, it would not vanish.
const MIXED: Reason = Reason::UnknownData;

impl<M: Make> Translator<M> {
    /// Translates each point; one that cannot be is counted, and the others go on.
    pub(crate) fn each<'a, P>(
        &mut self,
        points: Repeated<'a, P>,
        metric: &Metric<'_>,
        out: &mut Out<'_, M::Series>,
        translate: impl Fn(&mut Self, &P, &mut Out<'_, M::Series>) -> Result<(), Problem>,
    ) -> Result<(), Error>
    where
        Repeated<'a, P>: IntoIterator<Item = Result<P, Error>>,
    {
        for point in points {
            match translate(self, &point?, out) {
                Ok(()) => {}
                Err(Problem::Refused(reason)) => out.refused.add(reason, metric.name, 1),
                Err(Problem::Malformed(error)) => return Err(error),
            }
        }
        Ok(())
    }

    #[inline]
    pub(crate) fn number(
        &mut self,
        point: &NumberPoint<'_>,
        owner: &Owner<'_, M>,
        out: &mut Out<'_, M::Series>,
    ) -> Result<(), Problem> {
        let time = required(point.time_unix_nano)?;
        let value = match point.value {
            _ if point.flags & NO_RECORDED_VALUE != 0 => STALE,
            Some(Number::Double(value)) => normal(value),
            // Beyond 2^53 the nearest number that there is.
            Some(Number::Int(value)) => value as f64,
            None => return Err(Reason::MissingValue.into()),
        };
        let raw = point.attributes.raw();
        let series = match self.cache.get_target(&owner.context, &raw) {
            Ok(Target::One(series)) => series,
            Ok(Target::Many(_)) => return Err(MIXED.into()),
            Err(hash) => self.number_series(point.attributes, owner, hash, &raw)?,
        };
        out.took(time);
        out.samples.push(Sample {
            series,
            value,
            timestamp_ms: millis(time),
            start_ms: millis(point.start_time_unix_nano),
        });
        Ok(())
    }

    #[cold]
    fn number_series(
        &mut self,
        attributes: Attributes<'_>,
        owner: &Owner<'_, M>,
        hash: u64,
        raw: &[u8],
    ) -> Result<Arc<M::Series>, Problem> {
        let mut draft = self.draft(attributes, owner)?;
        let series = self.named(&mut draft, owner, "")?;
        self.cache.put_target(hash, owner.context, raw, Target::One(series.clone()));
        Ok(series)
    }

    pub(crate) fn histogram(
        &mut self,
        point: &HistogramPoint<'_>,
        owner: &Owner<'_, M>,
        out: &mut Out<'_, M::Series>,
    ) -> Result<(), Problem> {
        let time = required(point.time_unix_nano)?;
        let (buckets, bounds) = (point.bucket_counts.iter().count(), point.explicit_bounds.iter().count());
        if buckets != if buckets == 0 && bounds == 0 { 0 } else { bounds + 1 } {
            return Err(Reason::BucketCountMismatch.into());
        }
        let series = self.group(point.attributes, point.explicit_bounds.iter(), owner, |this, draft| {
            let mut group = vec![this.named(draft, owner, "_sum")?, this.named(draft, owner, "_count")?];
            let mut below = f64::NEG_INFINITY;
            for (index, bound_value) in point.explicit_bounds.iter().enumerate() {
                let rises = bound_value > below || (index == 0 && bound_value == below);
                if !rises {
                    return Err(Reason::UnsortedBounds.into());
                }
                below = bound_value;
                // The last bucket says the same as a bound of infinity.
                if bound_value != f64::INFINITY {
                    draft.set("le", bound(bound_value));
                    group.push(this.named(draft, owner, "_bucket")?);
                }
            }
            draft.set("le", "+Inf");
            group.push(this.named(draft, owner, "_bucket")?);
            Ok(group)
        })?;
        let [sum, count, bucket @ .., infinite] = series.as_slice() else { return Err(MIXED.into()) };

        let mut push = pusher(point.flags, time, point.start_time_unix_nano, out);
        if let Some(value) = point.sum {
            push(sum, value);
        }
        push(count, point.count as f64);
        let mut cumulative = 0_u64;
        for (series, count) in bucket.iter().zip(point.bucket_counts.iter()) {
            cumulative = cumulative.saturating_add(count);
            push(series, cumulative as f64);
        }
        push(infinite, point.count as f64);
        Ok(())
    }

    pub(crate) fn summary(
        &mut self,
        point: &SummaryPoint<'_>,
        owner: &Owner<'_, M>,
        out: &mut Out<'_, M::Series>,
    ) -> Result<(), Problem> {
        let time = required(point.time_unix_nano)?;
        let mut quantiles = Vec::new();
        for quantile in point.quantile_values {
            quantiles.push(quantile?);
        }
        let shares = quantiles.iter().map(|quantile| quantile.quantile);
        let series = self.group(point.attributes, shares.clone(), owner, |this, draft| {
            let mut group = vec![this.named(draft, owner, "_sum")?, this.named(draft, owner, "_count")?];
            for share in shares {
                draft.set("quantile", bound(share));
                group.push(this.named(draft, owner, "")?);
            }
            Ok(group)
        })?;
        let [sum, count, shares @ ..] = series.as_slice() else { return Err(MIXED.into()) };

        let mut push = pusher(point.flags, time, point.start_time_unix_nano, out);
        push(sum, point.sum);
        push(count, point.count as f64);
        for (series, quantile) in shares.iter().zip(&quantiles) {
            push(series, quantile.value);
        }
        Ok(())
    }

    /// The series of a point with bounds or quantiles, made by `make` if they are new.
    fn group(
        &mut self,
        attributes: Attributes<'_>,
        numbers: impl Iterator<Item = f64>,
        owner: &Owner<'_, M>,
        make: impl FnOnce(&mut Self, &mut Draft) -> Result<Vec<Arc<M::Series>>, Problem>,
    ) -> Result<Arc<Vec<Arc<M::Series>>>, Problem> {
        let raw = attributes.raw();
        let mut key = std::mem::take(&mut self.key);
        key.clear();
        key.extend_from_slice(&raw);
        numbers.for_each(|number| key.extend_from_slice(&number.to_bits().to_le_bytes()));
        key.extend_from_slice(&raw.len().to_le_bytes());
        let found = match self.cache.get_target(&owner.context, &key) {
            Ok(Target::Many(group)) => Ok(group),
            Ok(Target::One(_)) => Err(MIXED.into()),
            Err(hash) => self.draft(attributes, owner).and_then(|mut draft| make(self, &mut draft)).map(|group| {
                let group = Arc::new(group);
                self.cache.put_target(hash, owner.context, &key, Target::Many(group.clone()));
                group
            }),
        };
        self.key = key;
        found
    }

    fn draft(&self, attributes: Attributes<'_>, owner: &Owner<'_, M>) -> Result<Draft, Problem> {
        point_labels(attributes, owner.resource, owner.scope, &self.options)
    }

    /// The series of the draft's labels under the family's name and a suffix.
    fn named(&mut self, draft: &mut Draft, owner: &Owner<'_, M>, suffix: &str) -> Result<Arc<M::Series>, Reason> {
        draft.set(NAME, format!("{}{suffix}", owner.family.name));
        let labels: Vec<_> = draft.iter().collect();
        self.make.series(&labels, &owner.family.made).map(Arc::new)
    }
}

/// A time that a point must have.
#[inline]
fn required(time: u64) -> Result<u64, Reason> {
    if time == 0 { Err(Reason::MissingTimestamp) } else { Ok(time) }
}

/// Appends samples of one point.
fn pusher<S>(flags: u32, time: u64, start: u64, out: &mut Out<'_, S>) -> impl FnMut(&Arc<S>, f64) {
    out.took(time);
    let stale = flags & NO_RECORDED_VALUE != 0;
    let (timestamp_ms, start_ms) = (millis(time), millis(start));
    move |series, value| {
        let value = if stale { STALE } else { normal(value) };
        out.samples.push(Sample { series: series.clone(), value, timestamp_ms, start_ms });
    }
}
