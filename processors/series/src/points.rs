//! Points to samples.

use std::sync::Arc;

use weir_otlp::{
    Attributes, Error, Exemplars, ExponentialHistogramPoint, F64s, HistogramPoint, Metric, NumberPoint, Repeated,
    SummaryPoint,
};
use weir_remote_write::{Exemplar, Histogram};

use crate::cache::Target;
use crate::delta::Accumulators;
use crate::exemplars::exemplars;
use crate::kept::Kept;
use crate::labels::{Draft, NAME};
use crate::native::{Exponential, Overall, custom};
use crate::refusal::Reason;
use crate::resource::{Problem, point_labels};
use crate::series::{Make, Number, Point, STALE, Sample, normal};
use crate::text::bound;
use crate::translate::{Out, Owner, Translator, millis};

/// The flag of a point that says that no value was recorded.
pub(crate) const NO_RECORDED_VALUE: u32 = 1;

/// A point of one kind found what one of another kind became. A family has one kind, so there is
/// no such point; if there were, it would not vanish.
pub(crate) const MIXED: Reason = Reason::UnknownData;

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
            let mark = self.totals.as_ref().map(Accumulators::mark);
            match translate(self, &point?, out) {
                Ok(()) => {}
                Err(Problem::Refused(reason)) => {
                    // What is let go has added nothing.
                    if !reason.is_let_go() {
                        self.roll_back(mark);
                    }
                    out.refused.add(reason, metric.name, 1);
                }
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
        takes_exemplars: bool,
        out: &mut Out<'_, M::Series>,
    ) -> Result<(), Problem> {
        let time = required(point.time_unix_nano)?;
        let value = match point.value {
            _ if point.flags & NO_RECORDED_VALUE != 0 => STALE,
            Some(weir_otlp::Number::Double(value)) => normal(value),
            // Beyond 2^53 the nearest number that there is.
            Some(weir_otlp::Number::Int(value)) => value as f64,
            None => return Err(Reason::MissingValue.into()),
        };
        let series = self.one(point.attributes, owner)?;
        let number =
            Number { value, timestamp_ms: millis(time), start_timestamp_ms: millis(point.start_time_unix_nano) };
        if takes_exemplars && !point.exemplars.is_empty() {
            let exemplars = exemplars(point.exemplars, owner.metric, &mut out.refused)?;
            out.samples.push(Sample::new(series, Point::Number(number), exemplars));
        } else {
            out.samples.push(Sample::Plain { series, point: number });
        }
        out.took(time);
        Ok(())
    }

    /// The series of a point that has one.
    #[inline]
    fn one(&mut self, attributes: Attributes<'_>, owner: &Owner<'_, M>) -> Result<Kept<M::Series>, Problem> {
        let raw = self.options.key(attributes)?;
        match self.cache.get_target(&owner.context, &raw) {
            Ok(Target::One(series)) => Ok(series),
            Ok(Target::Many(_) | Target::Delta(_)) => Err(MIXED.into()),
            Err(hash) => self.new_one(attributes, owner, hash, &raw),
        }
    }

    #[cold]
    fn new_one(
        &mut self,
        attributes: Attributes<'_>,
        owner: &Owner<'_, M>,
        hash: u64,
        raw: &[u8],
    ) -> Result<Kept<M::Series>, Problem> {
        let mut draft = self.draft(attributes, owner)?;
        self.make.point(&owner.resource.tenant, true);
        let series = self.named(&mut draft, owner, "")?;
        self.cache.put_target(hash, owner.context, raw, Target::One(series.clone()));
        Ok(series)
    }

    pub(crate) fn exponential(
        &mut self,
        point: &ExponentialHistogramPoint<'_>,
        owner: &Owner<'_, M>,
        out: &mut Out<'_, M::Series>,
    ) -> Result<(), Problem> {
        let time = required(point.time_unix_nano)?;
        let histogram = Exponential::new(point)?.native(&point.into())?;
        self.native(point.attributes, histogram, point.exemplars, owner, out)?;
        out.took(time);
        Ok(())
    }

    pub(crate) fn custom_histogram(
        &mut self,
        point: &HistogramPoint<'_>,
        owner: &Owner<'_, M>,
        out: &mut Out<'_, M::Series>,
    ) -> Result<(), Problem> {
        let time = required(point.time_unix_nano)?;
        check_buckets(point)?;
        check_bounds(point.explicit_bounds.iter())?;
        let (bounds, counts) = (point.explicit_bounds.iter().collect(), point.bucket_counts.iter().collect());
        let histogram = custom(&point.into(), bounds, counts)?;
        self.native(point.attributes, histogram, point.exemplars, owner, out)?;
        out.took(time);
        Ok(())
    }

    fn native(
        &mut self,
        attributes: Attributes<'_>,
        histogram: Histogram,
        measured: Exemplars<'_>,
        owner: &Owner<'_, M>,
        out: &mut Out<'_, M::Series>,
    ) -> Result<(), Problem> {
        let series = self.one(attributes, owner)?;
        let exemplars = exemplars(measured, owner.metric, &mut out.refused)?;
        out.samples.push(Sample::new(series, Point::Histogram(histogram), exemplars));
        Ok(())
    }

    pub(crate) fn histogram(
        &mut self,
        point: &HistogramPoint<'_>,
        owner: &Owner<'_, M>,
        out: &mut Out<'_, M::Series>,
    ) -> Result<(), Problem> {
        required(point.time_unix_nano)?;
        check_buckets(point)?;
        let series = self.group(point.attributes, point.explicit_bounds.iter(), owner, |this, draft| {
            this.buckets(point.explicit_bounds, draft, owner)
        })?;
        let exemplars = self.by_bucket(point, owner, out)?;
        classic(&series, &point.into(), point.bucket_counts.iter(), exemplars, out)
    }

    /// The series of a histogram: sum, count, and one for each bound and infinity.
    pub(crate) fn buckets(
        &mut self,
        bounds: F64s<'_>,
        draft: &mut Draft,
        owner: &Owner<'_, M>,
    ) -> Result<Vec<Kept<M::Series>>, Problem> {
        check_bounds(bounds.iter())?;
        let mut group = vec![self.named(draft, owner, "_sum")?, self.named(draft, owner, "_count")?];
        // The last bucket says the same as a bound of infinity.
        for value in bounds.iter().filter(|value| *value != f64::INFINITY) {
            draft.set("le", bound(value));
            group.push(self.named(draft, owner, "_bucket")?);
        }
        draft.set("le", "+Inf");
        group.push(self.named(draft, owner, "_bucket")?);
        Ok(group)
    }

    /// The exemplars of a histogram, for each of its finite buckets those that fall into it, then the others; nothing
    /// if there are none.
    pub(crate) fn by_bucket(
        &self,
        point: &HistogramPoint<'_>,
        owner: &Owner<'_, M>,
        out: &mut Out<'_, M::Series>,
    ) -> Result<Vec<Vec<Exemplar>>, Problem> {
        if point.exemplars.is_empty() {
            return Ok(Vec::new());
        }
        let bounds = || point.explicit_bounds.iter().filter(|bound| *bound != f64::INFINITY);
        let buckets = bounds().count();
        let mut by_bucket = vec![Vec::new(); buckets + 1];
        for exemplar in exemplars(point.exemplars, owner.metric, &mut out.refused)? {
            let bucket = bounds().position(|bound| exemplar.value <= bound).unwrap_or(buckets);
            if let Some(fallen) = by_bucket.get_mut(bucket) {
                fallen.push(exemplar);
            }
        }
        Ok(by_bucket)
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
        push(sum, point.sum, Vec::new());
        push(count, point.count as f64, Vec::new());
        for (series, quantile) in shares.iter().zip(&quantiles) {
            push(series, quantile.value, Vec::new());
        }
        Ok(())
    }

    /// The series of a point with bounds or quantiles, made by `make` if they are new.
    fn group(
        &mut self,
        attributes: Attributes<'_>,
        numbers: impl Iterator<Item = f64>,
        owner: &Owner<'_, M>,
        make: impl FnOnce(&mut Self, &mut Draft) -> Result<Vec<Kept<M::Series>>, Problem>,
    ) -> Result<Arc<Vec<Kept<M::Series>>>, Problem> {
        let made = |this: &mut Self, draft: &mut Draft| Ok(Target::Many(Arc::new(make(this, draft)?)));
        match self.target(attributes, numbers, owner, made)? {
            Target::Many(group) => Ok(group),
            Target::One(_) | Target::Delta(_) => Err(MIXED.into()),
        }
    }

    /// What a point with such numbers becomes, made by `make` if it is new.
    pub(crate) fn target(
        &mut self,
        attributes: Attributes<'_>,
        numbers: impl Iterator<Item = f64>,
        owner: &Owner<'_, M>,
        make: impl FnOnce(&mut Self, &mut Draft) -> Result<Target<M::Series>, Problem>,
    ) -> Result<Target<M::Series>, Problem> {
        let raw = self.options.key(attributes)?;
        let mut key = std::mem::take(&mut self.key);
        key.clear();
        key.extend_from_slice(&raw);
        numbers.for_each(|number| key.extend_from_slice(&number.to_bits().to_le_bytes()));
        key.extend_from_slice(&raw.len().to_le_bytes());
        let found = match self.cache.get_target(&owner.context, &key) {
            Ok(target) => Ok(target),
            Err(hash) => self.new_target(attributes, owner, make).inspect(|target| {
                self.cache.put_target(hash, owner.context, &key, target.clone());
            }),
        };
        self.key = key;
        found
    }

    fn new_target(
        &mut self,
        attributes: Attributes<'_>,
        owner: &Owner<'_, M>,
        make: impl FnOnce(&mut Self, &mut Draft) -> Result<Target<M::Series>, Problem>,
    ) -> Result<Target<M::Series>, Problem> {
        let mut draft = self.draft(attributes, owner)?;
        self.make.point(&owner.resource.tenant, true);
        make(self, &mut draft)
    }

    fn draft(&self, attributes: Attributes<'_>, owner: &Owner<'_, M>) -> Result<Draft, Problem> {
        point_labels(attributes, owner.resource, owner.scope, &self.options)
    }

    /// The series of the draft's labels under the family's name and a suffix.
    pub(crate) fn named(
        &mut self,
        draft: &mut Draft,
        owner: &Owner<'_, M>,
        suffix: &str,
    ) -> Result<Kept<M::Series>, Reason> {
        draft.set(NAME, format!("{}{suffix}", owner.family.name));
        let labels: Vec<_> = draft.iter().collect();
        let made = self.make.series(&labels, &owner.family.made)?;
        Ok(self.cache.keep(made))
    }
}

/// Appends the samples of a histogram: `series` as [`Translator::buckets`] makes them, the exemplars of each bucket.
pub(crate) fn classic<S>(
    series: &[Kept<S>],
    overall: &Overall,
    counts: impl Iterator<Item = u64>,
    exemplars: Vec<Vec<Exemplar>>,
    out: &mut Out<'_, S>,
) -> Result<(), Problem> {
    let [sum, count, bucket @ .., infinite] = series else { return Err(MIXED.into()) };
    let mut exemplars = exemplars.into_iter();
    let mut push = pusher(overall.flags, overall.time, overall.start, out);
    if let Some(value) = overall.sum {
        push(sum, value, Vec::new());
    }
    push(count, overall.count as f64, Vec::new());
    let mut cumulative = 0_u64;
    for (series, count) in bucket.iter().zip(counts) {
        cumulative = cumulative.saturating_add(count);
        push(series, cumulative as f64, exemplars.next().unwrap_or_default());
    }
    push(infinite, overall.count as f64, exemplars.next().unwrap_or_default());
    Ok(())
}

/// A time that a point must have.
#[inline]
pub(crate) fn required(time: u64) -> Result<u64, Reason> {
    if time == 0 { Err(Reason::MissingTimestamp) } else { Ok(time) }
}

/// A histogram has one bucket more than bounds, or neither.
pub(crate) fn check_buckets(point: &HistogramPoint<'_>) -> Result<(), Reason> {
    let (buckets, bounds) = (point.bucket_counts.iter().count(), point.explicit_bounds.iter().count());
    let expected = if buckets == 0 && bounds == 0 { 0 } else { bounds + 1 };
    if buckets == expected { Ok(()) } else { Err(Reason::BucketCountMismatch) }
}

/// A histogram's bounds rise.
pub(crate) fn check_bounds(mut bounds: impl Iterator<Item = f64>) -> Result<(), Reason> {
    let Some(mut below) = bounds.next() else { return Ok(()) };
    let rises = !below.is_nan() && bounds.all(|bound| bound > std::mem::replace(&mut below, bound));
    if rises { Ok(()) } else { Err(Reason::UnsortedBounds) }
}

/// Appends samples of one point.
fn pusher<S>(flags: u32, time: u64, start: u64, out: &mut Out<'_, S>) -> impl FnMut(&Kept<S>, f64, Vec<Exemplar>) {
    out.took(time);
    let stale = flags & NO_RECORDED_VALUE != 0;
    let (timestamp_ms, start_timestamp_ms) = (millis(time), millis(start));
    move |series, value, exemplars| {
        let value = if stale { STALE } else { normal(value) };
        let point = Point::Number(Number { value, timestamp_ms, start_timestamp_ms });
        out.samples.push(Sample::new(series.clone(), point, exemplars));
    }
}
