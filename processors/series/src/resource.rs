//! What a resource and a scope add to the labels of their points.

use std::hash::{Hash, Hasher};

use weir_otlp::{Attributes, Error, Resource, Scope};

use crate::cache::Cache;
use crate::kept::Kept;
use crate::labels::{Draft, NAME};
use crate::names::label_name;
use crate::options::Options;
use crate::refusal::Reason;
use crate::series::{Kind, Make, Metadata};
use crate::text::label_value;

/// Why something has no translation.
pub(crate) enum Problem {
    /// The payload is not OTLP.
    Malformed(Error),
    /// It is, but has no translation.
    Refused(Reason),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::Malformed(error)
    }
}

impl From<Reason> for Problem {
    fn from(reason: Reason) -> Self {
        Self::Refused(reason)
    }
}

/// What a resource adds.
pub(crate) struct ResourceLabels<S> {
    pub(crate) id: u64,
    /// Whose it is, where that is asked for and said.
    pub(crate) tenant: String,
    job: String,
    instance: String,
    promoted: Result<Draft, Reason>,
    /// What describes the resource, if it has more than its identity.
    pub(crate) target_info: Option<Result<TargetInfo<S>, Reason>>,
}

/// The series that describes a resource.
pub(crate) struct TargetInfo<S> {
    /// The hash of its labels.
    pub(crate) hash: u64,
    /// Counted alone: it stays where it is as long as its resource is met.
    pub(crate) series: Kept<S>,
}

/// What a scope adds.
pub(crate) struct ScopeLabels {
    pub(crate) id: u64,
    labels: Result<Draft, Reason>,
}

const SERVICE_NAME: &str = "service.name";
const SERVICE_NAMESPACE: &str = "service.namespace";
const SERVICE_INSTANCE_ID: &str = "service.instance.id";
const IDENTIFYING: [&str; 3] = [SERVICE_NAMESPACE, SERVICE_NAME, SERVICE_INSTANCE_ID];
const TARGET_INFO: &str = "target_info";

impl<S> ResourceLabels<S> {
    pub(crate) fn new<M: Make<Series = S>>(
        resource: &Resource<'_>,
        options: &Options,
        cache: &mut Cache<M>,
        make: &mut M,
    ) -> Result<Self, Error> {
        let mut promoted = Ok(Draft::default());
        let mut tenant = None;
        let [mut namespace, mut name, mut instance] = [const { None }; 3];
        for attribute in resource.attributes {
            let (key, value) = attribute?;
            if tenant.is_none() && options.tenant.as_deref() == Some(key) {
                tenant = Some(label_value(value)?);
            }
            if options.drops(key) {
                continue;
            }
            // The first of several counts, as a look-up by key finds it.
            let identity = match key {
                SERVICE_NAMESPACE => Some(&mut namespace),
                SERVICE_NAME => Some(&mut name),
                SERVICE_INSTANCE_ID => Some(&mut instance),
                _ => None,
            };
            if let Some(slot @ None) = identity {
                *slot = options.label_value(key, value)?;
            }
            if options.promote.promotes(key)
                && let Ok(draft) = &mut promoted
            {
                match label_name(options, key) {
                    Some(name) => draft.set(name, options.label_value(key, value)?.unwrap_or_default()),
                    None => promoted = Err(Reason::InvalidLabelName),
                }
            }
        }
        let job = match (namespace, name) {
            (Some(namespace), Some(name)) => format!("{namespace}/{name}"),
            (None, Some(name)) => name,
            (_, None) => String::new(),
        };
        let instance = instance.unwrap_or_default();
        let tenant = tenant.unwrap_or_default();
        let mut labels = Self { id: cache.next_id(), tenant, job, instance, promoted, target_info: None };
        labels.target_info = match labels.describe(resource.attributes, options) {
            Ok(None) => None,
            Ok(Some(draft)) => Some(target_info(&draft, &labels.tenant, cache, make)),
            Err(Problem::Refused(reason)) => Some(Err(reason)),
            Err(Problem::Malformed(error)) => return Err(error),
        };
        Ok(labels)
    }

    /// The labels of `target_info`; none without attributes beyond the identity, or without that.
    fn describe(&self, attributes: Attributes<'_>, options: &Options) -> Result<Option<Draft>, Problem> {
        let mut total = 0;
        let mut found = [false; IDENTIFYING.len()];
        for attribute in attributes {
            let (key, _) = attribute?;
            if options.drops(key) {
                continue;
            }
            total += 1;
            for (found, identifying) in found.iter_mut().zip(IDENTIFYING) {
                *found |= key == identifying;
            }
        }
        if total == found.into_iter().filter(|found| *found).count() {
            return Ok(None);
        }
        let ignored: &[&str] = if options.keep_identifying { &[] } else { &IDENTIFYING };
        let mut draft = attribute_labels(attributes, ignored, options)?;
        self.identify(&mut draft);
        draft.set(NAME, TARGET_INFO);
        Ok((draft.contains("job") || draft.contains("instance")).then_some(draft))
    }

    fn identify(&self, draft: &mut Draft) {
        for (name, value) in [("job", &self.job), ("instance", &self.instance)] {
            if !value.is_empty() {
                draft.set(name, value);
            }
        }
    }
}

fn target_info<M: Make>(
    draft: &Draft,
    tenant: &str,
    cache: &Cache<M>,
    make: &mut M,
) -> Result<TargetInfo<M::Series>, Reason> {
    let labels: Vec<_> = draft.iter().collect();
    let mut hasher = cache.hasher();
    (tenant, &labels).hash(&mut hasher);
    make.point(tenant, false);
    let family = make.family(Metadata { name: TARGET_INFO, kind: Kind::Gauge, help: "Target metadata", unit: "" })?;
    let series = make.series(&labels, &family)?;
    let mark = M::mark(&series);
    Ok(TargetInfo { hash: hasher.finish(), series: Kept::alone(series, mark) })
}

impl ScopeLabels {
    pub(crate) fn new(scope: &Scope<'_>, schema_url: &str, id: u64, options: &Options) -> Result<Self, Error> {
        let mut labels = Ok(Draft::default());
        for attribute in scope.attributes {
            let (key, value) = attribute?;
            let Some(value) = options.label_value(key, value)? else { continue };
            match (&mut labels, label_name(options, &format!("otel_scope_{key}"))) {
                (Ok(draft), Some(name)) => draft.set(name, value),
                _ => labels = Err(Reason::InvalidLabelName),
            }
        }
        if let Ok(draft) = &mut labels {
            draft.set("otel_scope_name", scope.name);
            draft.set("otel_scope_version", scope.version);
            draft.set("otel_scope_schema_url", schema_url);
        }
        Ok(Self { id, labels })
    }
}

/// The labels of a point but for its name: its own, what is promoted, and who it is from.
pub(crate) fn point_labels<S>(
    attributes: Attributes<'_>,
    resource: &ResourceLabels<S>,
    scope: Option<&ScopeLabels>,
    options: &Options,
) -> Result<Draft, Problem> {
    let mut draft = attribute_labels(attributes, &[NAME], options)?;
    for (name, value) in resource.promoted.as_ref().map_err(|reason| *reason)?.iter() {
        draft.set_missing(name, value);
    }
    resource.identify(&mut draft);
    if let Some(scope) = scope {
        for (name, value) in scope.labels.as_ref().map_err(|reason| *reason)?.iter() {
            draft.set(name, value);
        }
    }
    Ok(draft)
}

/// Attributes as labels: in the order of their keys, so that those that share a name are joined
/// in that order.
fn attribute_labels(attributes: Attributes<'_>, ignored: &[&str], options: &Options) -> Result<Draft, Problem> {
    let mut sorted = Vec::new();
    for attribute in attributes {
        let (key, value) = attribute?;
        if !ignored.contains(&key)
            && let Some(value) = options.label_value(key, value)?
        {
            sorted.push((key, value));
        }
    }
    sorted.sort_by_key(|(key, _)| *key);
    let mut draft = Draft::default();
    for (key, value) in sorted {
        let name = if options.strategy.escapes() {
            label_name(options, key)
        } else {
            (!key.is_empty()).then(|| key.to_owned())
        };
        draft.join(name.ok_or(Reason::InvalidLabelName)?, &value);
    }
    Ok(draft)
}
