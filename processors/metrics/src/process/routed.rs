//! A series as each endpoint gets it.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;

use smallvec::SmallVec;
use weir_remote_write::{Family, MetricType, Series, SeriesError, Symbols};
use weir_series::{Kind, Make, Metadata, Reason};

use crate::config::Config;
use crate::error::StartError;
use crate::process::guard::{Guard, Live};
use crate::process::relabel::{Outcome, Relabelling};
use crate::process::tenants::{Tenant, Tenants};

/// What the partitions of a worker share: what they do to series, and what bounds these.
#[derive(Debug)]
pub struct Shared {
    /// What bounds them are the caches of the partitions.
    symbols: Arc<Symbols>,
    endpoints: Vec<Relabelling>,
    tenants: Option<Tenants>,
    guard: Option<Arc<Guard>>,
}

impl Shared {
    /// What a configuration says about series.
    ///
    /// # Errors
    /// A rule cannot be used, which its check has told already.
    pub fn new(config: &Config) -> Result<Arc<Self>, StartError> {
        let endpoints = config.remote_write.iter().map(Relabelling::new).collect::<Result<_, _>>();
        Ok(Arc::new(Self {
            symbols: Symbols::new(usize::MAX),
            endpoints: endpoints.map_err(|_| StartError::Rule)?,
            tenants: config.otlp.tenant.as_ref().map(|tenant| Tenants::new(tenant.default.get_ref())),
            guard: Guard::new(&config.otlp.limits),
        }))
    }

    /// What is told at `/status`: null where nothing is limited.
    pub fn told(&self) -> serde_json::Value {
        self.guard.as_ref().map_or(serde_json::Value::Null, |guard| guard.told())
    }

    pub(crate) fn guard(&self) -> Option<&Arc<Guard>> {
        self.guard.as_ref()
    }
}

/// A series as each endpoint gets it, if it does.
#[derive(Debug)]
pub struct Routed {
    forms: SmallVec<[Option<Series>; 1]>,
    tenant: Option<Arc<Tenant>>,
    /// Counted as long as it is remembered; where nothing is limited it takes no room.
    _live: Option<Box<Live>>,
}

impl Routed {
    /// The form of an endpoint, by its place; none if its rules drop the series.
    #[inline]
    pub fn form(&self, endpoint: usize) -> Option<&Series> {
        self.forms.get(endpoint)?.as_ref()
    }

    /// Whose it is, where that is told.
    pub(crate) fn tenant(&self) -> Option<&Tenant> {
        self.tenant.as_deref()
    }

    /// One that has the same form for all.
    #[cfg(test)]
    pub(crate) fn with(forms: impl IntoIterator<Item = Option<Series>>, tenant: Option<Arc<Tenant>>) -> Self {
        Self { forms: forms.into_iter().collect(), tenant, _live: None }
    }
}

/// A metric, as its series need it.
pub(crate) struct Metric {
    family: Arc<Family>,
    name: Arc<str>,
}

/// Encodes a series once, for all requests that it will be in.
pub(crate) struct Encode {
    shared: Arc<Shared>,
    /// Whose the point at hand is.
    tenant: Result<Option<Arc<Tenant>>, Reason>,
    is_data: bool,
    /// Whether a series of the point at hand was counted.
    is_admitted: bool,
}

impl Encode {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, tenant: Ok(None), is_data: true, is_admitted: false }
    }

    /// Counts a new series, where they are limited.
    fn admit(&mut self, labels: &[(&str, &str)], metric: &Metric) -> Result<Option<Live>, Reason> {
        let Some(guard) = self.shared.guard.as_ref().filter(|_| self.is_data) else { return Ok(None) };
        let tenant = self.tenant.as_ref().map_or(0, |tenant| tenant.as_ref().map_or(0, |tenant| tenant.number));
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(labels);
        let live = guard.admit(tenant, &metric.name, hash, self.is_admitted)?;
        self.is_admitted = true;
        Ok(Some(live))
    }
}

impl Make for Encode {
    type Family = Metric;
    type Series = Routed;

    fn family(&mut self, metadata: Metadata<'_>) -> Result<Metric, Reason> {
        let kind = match metadata.kind {
            Kind::Counter => MetricType::Counter,
            Kind::Gauge => MetricType::Gauge,
            Kind::Histogram => MetricType::Histogram,
            Kind::Summary => MetricType::Summary,
        };
        let family = Family::new(&self.shared.symbols, kind, metadata.name, metadata.help, metadata.unit);
        Ok(Metric { family: family.map(Arc::new).map_err(too_long)?, name: metadata.name.into() })
    }

    fn point(&mut self, tenant: &str, is_data: bool) {
        self.tenant = self.shared.tenants.as_ref().map(|tenants| tenants.get(tenant)).transpose();
        (self.is_data, self.is_admitted) = (is_data, false);
    }

    fn series(&mut self, labels: &[(&str, &str)], metric: &Metric) -> Result<Routed, Reason> {
        let tenant = self.tenant.clone()?;
        let shared = Arc::clone(&self.shared);
        let outcomes: SmallVec<[Outcome; 1]> =
            shared.endpoints.iter().map(|relabelling| relabelling.apply(labels)).collect();
        let is_sent = outcomes.iter().any(|outcome| !matches!(outcome, Outcome::Dropped));
        let live = if is_sent { self.admit(labels, metric)? } else { None };
        let encode =
            |labels: &[(&str, &str)]| Series::new(labels, Arc::clone(&metric.family)).map(Some).map_err(too_long);
        let forms = outcomes.iter().map(|outcome| match outcome {
            Outcome::Dropped => Ok(None),
            Outcome::Same => encode(labels),
            Outcome::Changed(labels) => {
                let labels: Vec<_> = labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                encode(&labels)
            }
        });
        Ok(Routed { forms: forms.collect::<Result<_, _>>()?, tenant, _live: live.map(Box::new) })
    }

    fn weight(routed: &Routed) -> usize {
        let apart = if routed.forms.spilled() { size_of_val(&*routed.forms) } else { 0 };
        let labels = routed.forms.iter().flatten().map(|series| series.bytes() - size_of::<Series>());
        size_of::<Routed>() + apart + labels.sum::<usize>()
    }

    fn mark(routed: &Routed) -> u32 {
        routed.form(0).map_or(0, |series| mark(series.hash()))
    }
}

/// What says the shard of a series' form for the first endpoint: the upper half of its hash, and never 0, which says
/// that there is no form.
fn mark(hash: u64) -> u32 {
    (hash >> 32) as u32 | 1
}

/// The symbols are not full: they are bounded by the series that hold them.
fn too_long(_: SeriesError) -> Reason {
    Reason::TextTooLong
}
