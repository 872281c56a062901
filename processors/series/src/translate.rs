//! Walks a payload from its resources to its points.

use std::sync::Arc;

use hashbrown::HashSet;
use weir_otlp::{Error, Metric, MetricData, MetricsRequest, Repeated, ResourceMetrics, ScopeMetrics, Temporality};

use crate::cache::{Cache, Context};
use crate::delta::{Accumulators, DeltaKey, DeltaStateError, Mark};
use crate::names::{Suffix, metric_name, unit_words};
use crate::options::Options;
use crate::refusal::{Reason, Refused};
use crate::resource::{ResourceLabels, ScopeLabels, TargetInfo};
use crate::series::{Kind, Make, Metadata, Number, Sample};

/// How far apart samples of `target_info` are: half of what Prometheus looks back for a sample.
const TARGET_INFO_EVERY_NANOS: u64 = 150_000_000_000;

/// How far before the newest point of a record `target_info` reaches. A wrong clock must not make
/// millions of samples; a day is far more than what a record spans.
const TARGET_INFO_BACK_NANOS: u64 = 24 * 3600 * 1_000_000_000;

/// Translates payloads, one after the other, and remembers series.
pub struct Translator<M: Make> {
    pub(crate) options: Options,
    pub(crate) make: M,
    pub(crate) cache: Cache<M>,
    /// Where deltas are added up; none where they are refused.
    pub(crate) totals: Option<Accumulators>,
    /// A key under construction.
    pub(crate) key: Vec<u8>,
    /// The samples of `target_info` in this payload: series and milliseconds.
    told: HashSet<(u64, i64)>,
}

/// A metric family.
pub(crate) struct Family<F> {
    id: u64,
    pub(crate) name: String,
    pub(crate) made: F,
}

/// How a metric is named and typed. Metrics of one name and different forms share no series in the cache.
#[derive(Clone, Copy)]
struct Form {
    suffix: Suffix,
    kind: Kind,
    /// Its points are native histograms.
    is_native: bool,
    /// They are added up.
    is_delta: bool,
}

/// Where a point belongs.
pub(crate) struct Owner<'c, M: Make> {
    pub(crate) resource: &'c ResourceLabels<M::Series>,
    pub(crate) scope: Option<&'c ScopeLabels>,
    pub(crate) family: &'c Family<M::Family>,
    pub(crate) context: Context,
    /// The metric as OTLP names it.
    pub(crate) metric: &'c str,
}

/// What comes of a payload.
pub(crate) struct Out<'s, S> {
    pub(crate) samples: &'s mut Vec<Sample<S>>,
    pub(crate) refused: Refused,
    /// The times of the resource's oldest and newest translated point, in nanoseconds.
    span: Option<(u64, u64)>,
}

impl<S> Out<'_, S> {
    /// A point was translated.
    #[inline]
    pub(crate) fn took(&mut self, time: u64) {
        let (oldest, newest) = self.span.unwrap_or((time, time));
        self.span = Some((oldest.min(time), newest.max(time)));
    }
}

impl<M: Make> Translator<M> {
    /// Remembers what `make` makes, up to about `cache_bytes`.
    pub fn new(options: Options, cache_bytes: usize, make: M) -> Self {
        let totals = options.delta.map(Accumulators::new);
        Self { options, make, cache: Cache::new(cache_bytes), totals, key: Vec::new(), told: HashSet::new() }
    }

    /// Appends the samples of a payload to `samples`; returns what was refused of it. `record_ms` is the timestamp of
    /// its record, in milliseconds since 1970, by which series of deltas grow old.
    ///
    /// # Errors
    /// The payload is not OTLP; then `samples` and all totals are as they were.
    pub fn translate(
        &mut self,
        payload: &[u8],
        record_ms: Option<i64>,
        samples: &mut Vec<Sample<M::Series>>,
    ) -> Result<Refused, Error> {
        let before = samples.len();
        if let Some(totals) = &mut self.totals {
            totals.begin(record_ms);
        }
        let mark = self.totals.as_ref().map(Accumulators::mark);
        self.told.clear();
        let mut out = Out { samples, refused: Refused::default(), span: None };
        for resource in MetricsRequest::new(payload).resource_metrics() {
            if let Err(error) = resource.and_then(|resource| self.resource(&resource, &mut out)) {
                out.samples.truncate(before);
                self.roll_back(mark);
                return Err(error);
            }
        }
        Ok(out.refused)
    }

    /// Forgets what was not used since this was called the last time.
    pub fn age(&mut self) {
        self.cache.age();
    }

    /// Takes a total that was told before, before anything is translated.
    ///
    /// # Errors
    /// It cannot be read; where deltas are refused, none is.
    pub fn restore_total(&mut self, key: &[u8], value: &[u8]) -> Result<(), DeltaStateError> {
        match &mut self.totals {
            Some(totals) => totals.restore(key, value),
            None => Ok(()),
        }
    }

    /// Tells the totals that have changed since the last time, in order of their keys: a key with its value, or without
    /// one if it is forgotten.
    pub fn changed_totals(&mut self, tell: impl FnMut(&DeltaKey, Option<Vec<u8>>)) {
        if let Some(totals) = &mut self.totals {
            totals.drain(tell);
        }
    }

    /// How many series of deltas are kept.
    pub fn kept_totals(&self) -> usize {
        self.totals.as_ref().map_or(0, Accumulators::len)
    }

    /// Takes back what was added up since then.
    pub(crate) fn roll_back(&mut self, mark: Option<Mark>) {
        if let (Some(totals), Some(mark)) = (&mut self.totals, mark) {
            totals.roll_back(mark);
        }
    }

    /// How many sets of attributes are remembered, each with its series.
    pub fn remembered_points(&self) -> usize {
        self.cache.len()
    }

    /// What is remembered weighs about so many bytes.
    pub fn remembered_bytes(&self) -> usize {
        self.cache.bytes()
    }

    fn resource(&mut self, resource: &ResourceMetrics<'_>, out: &mut Out<'_, M::Series>) -> Result<(), Error> {
        out.span = None;
        let labels = self.resource_labels(resource)?;
        for scope in resource.scope_metrics() {
            self.scope(&scope?, &labels, out)?;
        }
        self.target_info(&labels, out);
        Ok(())
    }

    fn resource_labels(&mut self, resource: &ResourceMetrics<'_>) -> Result<Arc<ResourceLabels<M::Series>>, Error> {
        let key = resource.resource.raw;
        let hash = match self.cache.get_resource(key) {
            Ok(labels) => return Ok(labels),
            Err(hash) => hash,
        };
        let labels = Arc::new(ResourceLabels::new(&resource.resource, &self.options, &mut self.cache, &mut self.make)?);
        self.cache.put_resource(hash, key, labels.clone());
        Ok(labels)
    }

    fn scope(
        &mut self,
        scope: &ScopeMetrics<'_>,
        resource: &ResourceLabels<M::Series>,
        out: &mut Out<'_, M::Series>,
    ) -> Result<(), Error> {
        let labels = self.scope_labels(scope)?;
        for metric in scope.metrics() {
            self.metric(&metric?, resource, labels.as_deref(), out)?;
        }
        Ok(())
    }

    fn scope_labels(&mut self, scope: &ScopeMetrics<'_>) -> Result<Option<Arc<ScopeLabels>>, Error> {
        if !self.options.promote_scope || scope.scope.name.is_empty() {
            return Ok(None);
        }
        self.key.clear();
        push_part(&mut self.key, scope.schema_url.as_bytes());
        self.key.extend_from_slice(scope.scope.raw);
        let hash = match self.cache.get_scope(&self.key) {
            Ok(labels) => return Ok(Some(labels)),
            Err(hash) => hash,
        };
        let id = self.cache.next_id();
        let labels = Arc::new(ScopeLabels::new(&scope.scope, scope.schema_url, id, &self.options)?);
        self.cache.put_scope(hash, &self.key, labels.clone());
        Ok(Some(labels))
    }

    fn metric(
        &mut self,
        metric: &Metric<'_>,
        resource: &ResourceLabels<M::Series>,
        scope: Option<&ScopeLabels>,
        out: &mut Out<'_, M::Series>,
    ) -> Result<(), Error> {
        let form = match self.form(metric) {
            Ok(form) => form,
            Err(reason) => return refuse_all(metric, reason, out),
        };
        let family = match self.family(metric, form) {
            Ok(family) => family,
            Err(reason) => return refuse_all(metric, reason, out),
        };
        let context = [resource.id, scope.map_or(0, |scope| scope.id), family.id];
        let owner = Owner { resource, scope, family: &family, context, metric: metric.name };
        match metric.data {
            MetricData::Gauge(points) => {
                self.each(points, metric, out, |this, point, out| this.number(point, &owner, false, out))
            }
            MetricData::Sum { points, temporality: Temporality::Delta, .. } => {
                self.each(points, metric, out, |this, point, out| this.delta_number(point, &owner, out))
            }
            MetricData::Sum { points, .. } => {
                self.each(points, metric, out, |this, point, out| this.number(point, &owner, true, out))
            }
            MetricData::Histogram { points, temporality: Temporality::Delta } => {
                self.each(points, metric, out, |this, point, out| this.delta_histogram(point, &owner, out))
            }
            MetricData::Histogram { points, .. } if self.options.convert_histograms => {
                self.each(points, metric, out, |this, point, out| this.custom_histogram(point, &owner, out))
            }
            MetricData::Histogram { points, .. } => {
                self.each(points, metric, out, |this, point, out| this.histogram(point, &owner, out))
            }
            MetricData::ExponentialHistogram { points, temporality: Temporality::Delta } => {
                self.each(points, metric, out, |this, point, out| this.delta_exponential(point, &owner, out))
            }
            MetricData::ExponentialHistogram { points, .. } => {
                self.each(points, metric, out, |this, point, out| this.exponential(point, &owner, out))
            }
            MetricData::Summary(points) => {
                self.each(points, metric, out, |this, point, out| this.summary(point, &owner, out))
            }
            // Refused by `form`.
            MetricData::None => Ok(()),
        }
    }

    /// How a metric is named and typed, if it can be translated at all.
    fn form(&self, metric: &Metric<'_>) -> Result<Form, Reason> {
        let is_delta = |temporality| match temporality {
            Temporality::Cumulative => Ok(false),
            Temporality::Delta if self.totals.is_some() => Ok(true),
            Temporality::Delta => Err(Reason::DeltaTemporality),
            Temporality::Unspecified => Err(Reason::UnspecifiedTemporality),
        };
        let of = |suffix, kind| Form { suffix, kind, is_native: false, is_delta: false };
        Ok(match metric.data {
            MetricData::None => return Err(Reason::UnknownData),
            MetricData::Gauge(_) => of(Suffix::Gauge, Kind::Gauge),
            MetricData::Sum { temporality, monotonic, .. } => {
                let form = if monotonic { of(Suffix::Counter, Kind::Counter) } else { of(Suffix::Unit, Kind::Gauge) };
                Form { is_delta: is_delta(temporality)?, ..form }
            }
            MetricData::Histogram { temporality, .. } => {
                let (is_delta, is_native) = (is_delta(temporality)?, self.options.convert_histograms);
                Form { is_native, is_delta, ..of(Suffix::Unit, Kind::Histogram) }
            }
            MetricData::ExponentialHistogram { temporality, .. } => {
                Form { is_native: true, is_delta: is_delta(temporality)?, ..of(Suffix::Unit, Kind::Histogram) }
            }
            MetricData::Summary(_) => of(Suffix::Unit, Kind::Summary),
        })
    }

    fn family(&mut self, metric: &Metric<'_>, form: Form) -> Result<Arc<Family<M::Family>>, Reason> {
        if metric.name.is_empty() {
            return Err(Reason::EmptyName);
        }
        let Form { suffix, kind, is_native, is_delta } = form;
        self.key.clear();
        self.key.extend([suffix as u8, kind as u8, u8::from(is_native), u8::from(is_delta)]);
        push_part(&mut self.key, metric.name.as_bytes());
        push_part(&mut self.key, metric.unit.as_bytes());
        self.key.extend_from_slice(metric.description.as_bytes());
        let hash = match self.cache.get_family(&self.key) {
            Ok(family) => return Ok(family),
            Err(hash) => hash,
        };
        let name = metric_name(self.options.strategy, metric.name, metric.unit, suffix).ok_or(Reason::EmptyName)?;
        let unit = unit_words(metric.unit);
        let made = self.make.family(Metadata { name: &name, kind, help: metric.description, unit: &unit })?;
        let family = Arc::new(Family { id: self.cache.next_id(), name, made });
        self.cache.put_family(hash, &self.key, family.clone());
        Ok(family)
    }

    /// One sample at the resource's newest point, and one every 150 s from its oldest on.
    fn target_info(&mut self, resource: &ResourceLabels<M::Series>, out: &mut Out<'_, M::Series>) {
        let (Some(info), Some((oldest, newest))) = (&resource.target_info, out.span) else { return };
        let TargetInfo { hash, series } = match info {
            Ok(info) => info,
            Err(reason) => return out.refused.add(*reason, "target_info", 1),
        };
        let mut time = oldest.max(newest.saturating_sub(TARGET_INFO_BACK_NANOS));
        loop {
            let timestamp_ms = millis(time);
            if self.told.insert((*hash, timestamp_ms)) {
                let point = Number { value: 1.0, timestamp_ms, start_timestamp_ms: 0 };
                out.samples.push(Sample::Plain { series: series.clone(), point });
            }
            if time >= newest {
                return;
            }
            time = time.saturating_add(TARGET_INFO_EVERY_NANOS).min(newest);
        }
    }
}

/// Refuses a metric with all its points.
fn refuse_all<S>(metric: &Metric<'_>, reason: Reason, out: &mut Out<'_, S>) -> Result<(), Error> {
    let points = match metric.data {
        MetricData::None => 1,
        MetricData::Gauge(points) | MetricData::Sum { points, .. } => count(points)?,
        MetricData::Histogram { points, .. } => count(points)?,
        MetricData::ExponentialHistogram { points, .. } => count(points)?,
        MetricData::Summary(points) => count(points)?,
    };
    // Without points there is nothing to lose.
    if points > 0 {
        out.refused.add(reason, metric.name, points);
    }
    Ok(())
}

fn count<'a, P>(points: Repeated<'a, P>) -> Result<u32, Error>
where
    Repeated<'a, P>: IntoIterator<Item = Result<P, Error>>,
{
    let mut points = points.into_iter();
    points.try_fold(0_u32, |count, point| point.map(|_| count.saturating_add(1)))
}

/// Appends a part of a key so that no other parts give the same bytes.
pub(crate) fn push_part(key: &mut Vec<u8>, part: &[u8]) {
    key.extend_from_slice(&part.len().to_le_bytes());
    key.extend_from_slice(part);
}

/// Nanoseconds as milliseconds, rounded down.
#[inline]
pub(crate) fn millis(nanos: u64) -> i64 {
    // A millionth of 64 bits always fits.
    i64::try_from(nanos / 1_000_000).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
