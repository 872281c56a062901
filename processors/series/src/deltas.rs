//! Points with delta temporality to samples of what they add up to.

use std::hash::Hasher;
use std::iter::empty;
use std::sync::Arc;

use siphasher::sip128::{Hasher128, SipHasher13};
use weir_otlp::{Attributes, ExponentialHistogramPoint, HistogramPoint, NumberPoint};

use crate::cache::{DeltaTarget, Target};
use crate::delta::{self, DeltaKey, Explicit, Interval, Total};
use crate::exemplars::exemplars;
use crate::kept::Kept;
use crate::labels::Draft;
use crate::native::{Exponential, Overall, custom};
use crate::points::{MIXED, NO_RECORDED_VALUE, check_bounds, check_buckets, classic, required};
use crate::refusal::Reason;
use crate::resource::Problem;
use crate::series::{Make, Number, Point, STALE, Sample, normal};
use crate::translate::{Out, Owner, Translator, millis};

/// The kinds of points; a series of each has totals of its own.
const NUMBER: u8 = b'n';
const HISTOGRAM: u8 = b'h';
const EXPONENTIAL: u8 = b'e';

impl<M: Make> Translator<M> {
    pub(crate) fn delta_number(
        &mut self,
        point: &NumberPoint<'_>,
        owner: &Owner<'_, M>,
        out: &mut Out<'_, M::Series>,
    ) -> Result<(), Problem> {
        let at = Interval { start: point.start_time_unix_nano, time: required(point.time_unix_nano)? };
        let delta = match point.value {
            _ if point.flags & NO_RECORDED_VALUE != 0 => None,
            Some(weir_otlp::Number::Double(value)) => Some(Total::Double(normal(value))),
            Some(weir_otlp::Number::Int(value)) => Some(Total::Int(value)),
            None => return Err(Reason::MissingValue.into()),
        };
        let target = self.delta_target(NUMBER, point.attributes, empty(), owner, |this, draft| {
            Ok(vec![this.named(draft, owner, "")?])
        })?;
        let [series] = target.series.as_slice() else { return Err(MIXED.into()) };
        let (start, total) = self.total(target.key, at, delta)?;
        let value = match total {
            None => STALE,
            Some(Total::Int(total)) => total as f64,
            Some(Total::Double(total)) => normal(total),
            Some(Total::Explicit(_) | Total::Exponential(_)) => return Err(MIXED.into()),
        };
        let number = Number { value, timestamp_ms: millis(at.time), start_timestamp_ms: millis(start) };
        let exemplars = exemplars(point.exemplars, owner.metric, &mut out.refused)?;
        out.samples.push(Sample::new(series.clone(), Point::Number(number), exemplars));
        out.took(at.time);
        Ok(())
    }

    pub(crate) fn delta_histogram(
        &mut self,
        point: &HistogramPoint<'_>,
        owner: &Owner<'_, M>,
        out: &mut Out<'_, M::Series>,
    ) -> Result<(), Problem> {
        let at = Interval { start: point.start_time_unix_nano, time: required(point.time_unix_nano)? };
        check_buckets(point)?;
        check_bounds(point.explicit_bounds.iter())?;
        let is_native = self.options.convert_histograms;
        let target =
            self.delta_target(HISTOGRAM, point.attributes, point.explicit_bounds.iter(), owner, |this, draft| {
                if is_native {
                    Ok(vec![this.named(draft, owner, "")?])
                } else {
                    this.buckets(point.explicit_bounds, draft, owner)
                }
            })?;
        let delta = Explicit {
            bounds: point.explicit_bounds.iter().collect(),
            counts: point.bucket_counts.iter().collect(),
            count: point.count,
            sum: point.sum,
        };
        let recorded = (point.flags & NO_RECORDED_VALUE == 0).then(|| Total::Explicit(Box::new(delta.clone())));
        let (start, total) = self.total(target.key, at, recorded)?;
        let total = match total {
            None => delta,
            Some(Total::Explicit(total)) => *total,
            Some(_) => return Err(MIXED.into()),
        };
        let overall = Overall { start, count: total.count, sum: total.sum, ..point.into() };
        match target.series.as_slice() {
            [series] => {
                let histogram = custom(&overall, total.bounds, total.counts)?;
                let exemplars = exemplars(point.exemplars, owner.metric, &mut out.refused)?;
                out.samples.push(Sample::new(series.clone(), Point::Histogram(histogram), exemplars));
                out.took(at.time);
                Ok(())
            }
            series => {
                let exemplars = self.by_bucket(point, owner, out)?;
                classic(series, &overall, total.counts.into_iter(), exemplars, out)
            }
        }
    }

    pub(crate) fn delta_exponential(
        &mut self,
        point: &ExponentialHistogramPoint<'_>,
        owner: &Owner<'_, M>,
        out: &mut Out<'_, M::Series>,
    ) -> Result<(), Problem> {
        let at = Interval { start: point.start_time_unix_nano, time: required(point.time_unix_nano)? };
        let overall = Overall::from(point);
        let buckets = Exponential::new(point)?;
        let delta = match point.flags & NO_RECORDED_VALUE {
            0 => Some(delta::exponential(&buckets, &overall)?),
            _ => None,
        };
        let target = self.delta_target(EXPONENTIAL, point.attributes, empty(), owner, |this, draft| {
            Ok(vec![this.named(draft, owner, "")?])
        })?;
        let [series] = target.series.as_slice() else { return Err(MIXED.into()) };
        let (start, total) = self.total(target.key, at, delta)?;
        let histogram = match total {
            None => buckets.native(&Overall { start, ..overall })?,
            Some(Total::Exponential(total)) => {
                let overall = Overall { start, count: total.count, sum: total.sum, ..overall };
                total.buckets().native(&overall)?
            }
            Some(_) => return Err(MIXED.into()),
        };
        let exemplars = exemplars(point.exemplars, owner.metric, &mut out.refused)?;
        out.samples.push(Sample::new(series.clone(), Point::Histogram(histogram), exemplars));
        out.took(at.time);
        Ok(())
    }

    /// What a delta adds up to, and since when; without one the series has ended for now.
    fn total(&mut self, key: DeltaKey, at: Interval, delta: Option<Total>) -> Result<(u64, Option<Total>), Reason> {
        // A metric of deltas is refused where there is nothing to add them to.
        let totals = self.totals.as_mut().ok_or(Reason::DeltaTemporality)?;
        match delta {
            Some(delta) => totals.add(key, at, delta).map(|total| (total.start, total.total.clone())),
            None => totals.pause(key, at).map(|start| (start.unwrap_or(at.start), None)),
        }
    }

    fn delta_target(
        &mut self,
        kind: u8,
        attributes: Attributes<'_>,
        bounds: impl Iterator<Item = f64>,
        owner: &Owner<'_, M>,
        make: impl FnOnce(&mut Self, &mut Draft) -> Result<Vec<Kept<M::Series>>, Problem>,
    ) -> Result<Arc<DeltaTarget<M::Series>>, Problem> {
        let made = |this: &mut Self, draft: &mut Draft| {
            let key = key(kind, &owner.family.name, draft);
            Ok(Target::Delta(Arc::new(DeltaTarget { key, series: make(this, draft)? })))
        };
        match self.target(attributes, bounds, owner, made)? {
            Target::Delta(target) => Ok(target),
            Target::One(_) | Target::Many(_) => Err(MIXED.into()),
        }
    }
}

/// The key of a series: it is in the changelog, so what it is must never change.
fn key(kind: u8, name: &str, labels: &Draft) -> DeltaKey {
    let mut hasher = SipHasher13::new();
    let texts = labels.iter().flat_map(|(name, value)| [name, value]);
    for text in std::iter::once(name).chain(texts) {
        hasher.write(&(text.len() as u64).to_le_bytes());
        hasher.write(text.as_bytes());
    }
    let mut key = [kind; 17];
    if let Some(hash) = key.last_chunk_mut() {
        *hash = hasher.finish128().as_u128().to_be_bytes();
    }
    key
}
