//! `[worker.NAME.otlp]`: what becomes of points.

use std::collections::BTreeSet;

use reqwest::header::{HeaderName, HeaderValue};

use serde::{Deserialize, Serialize};
use weir_config::{ByteSize, Checker, Duration, Spanned, unset};

/// How OTLP is translated.
///
/// The keys from `translation_strategy` to `label_name_preserve_multiple_underscores` have the names, the meaning and
/// the defaults of the `otlp:` block of Prometheus 3.13.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Otlp {
    /// How names of metrics and labels are written.
    pub translation_strategy: TranslationStrategy,
    /// Resource attributes that become labels of every series.
    pub promote_resource_attributes: Spanned<Vec<String>>,
    /// Whether all resource attributes become labels, but for `ignore_resource_attributes`.
    pub promote_all_resource_attributes: bool,
    /// Resource attributes that do not become labels, with `promote_all_resource_attributes`.
    pub ignore_resource_attributes: Spanned<Vec<String>>,
    /// Whether `target_info` keeps `service.name`, `service.namespace` and `service.instance.id`.
    pub keep_identifying_resource_attributes: bool,
    /// Whether histograms with bounds of their own become native ones with custom buckets.
    pub convert_histograms_to_nhcb: bool,
    /// Whether the instrumentation scope becomes `otel_scope_*` labels.
    pub promote_scope_metadata: bool,
    /// Whether a label name that starts with an underscore is prefixed with `key`.
    pub label_name_underscore_sanitization: bool,
    /// Whether underscores that follow each other in a label name are kept.
    pub label_name_preserve_multiple_underscores: bool,
    /// What each partition remembers of the series it has met, 1MiB to 16GiB.
    pub series_cache: Spanned<ByteSize>,
    /// Whether deltas are added up, which makes the worker keep state; else they are rejected.
    pub delta_to_cumulative: bool,
    /// Series of deltas that each partition keeps, 1 to 100,000,000; over that, new ones are refused.
    pub delta_max_series: Spanned<u32>,
    /// How long a series without deltas is kept, 1m to 30d of the records' timestamps.
    pub delta_max_stale: Spanned<Duration>,
    /// What becomes of attributes before all else.
    pub attributes: Vec<Attribute>,
    /// Whose the series are, if that is to be told to the receiver.
    pub tenant: Option<Tenant>,
    /// How many series there may be.
    pub limits: Limits,
}

/// What becomes of an attribute before all else.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Attribute {
    /// The attribute's name, as it is sent.
    pub name: Spanned<String>,
    /// What becomes of it.
    pub action: Fate,
}

/// What becomes of an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fate {
    /// It is left out.
    #[default]
    Drop,
    /// A hash stands for its value.
    Hash,
}

/// Whose the series are.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tenant {
    /// The resource attribute that says it.
    pub attribute: Spanned<String>,
    /// Whose those are that do not say it.
    pub default: Spanned<String>,
    /// The header that tells the receiver.
    pub header: Spanned<String>,
}

/// How many series there may be in this process; more are refused, those that are there never.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Of a tenant, 1 to 100,000,000; as many as there are, if nothing is written.
    pub series_per_tenant: Option<Spanned<u32>>,
    /// Of a metric of a tenant, 1 to 100,000,000; as many as there are, if nothing is written.
    pub series_per_metric: Option<Spanned<u32>>,
    /// How long a series counts after its last sample, and at most twice as long; 1m to 7d.
    pub window: Spanned<Duration>,
}

impl Default for Attribute {
    fn default() -> Self {
        Self { name: unset(String::new()), action: Fate::Drop }
    }
}

impl Default for Tenant {
    fn default() -> Self {
        Self {
            attribute: unset("tenant.id".to_owned()),
            default: unset("anonymous".to_owned()),
            header: unset("X-Scope-OrgID".to_owned()),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { series_per_tenant: None, series_per_metric: None, window: unset(Duration::from_mins(60)) }
    }
}

/// How names of metrics and labels are written; the values of Prometheus, by their own names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
pub enum TranslationStrategy {
    /// What is not a letter, digit or underscore becomes an underscore; unit and type are appended.
    #[default]
    UnderscoreEscapingWithSuffixes,
    /// What is not a letter, digit or underscore becomes an underscore; nothing is appended.
    UnderscoreEscapingWithoutSuffixes,
    /// Names stay as they are; unit and type are appended.
    NoUTF8EscapingWithSuffixes,
    /// Names stay as they are.
    NoTranslation,
}

impl Default for Otlp {
    fn default() -> Self {
        Self {
            translation_strategy: TranslationStrategy::default(),
            promote_resource_attributes: unset(Vec::new()),
            promote_all_resource_attributes: false,
            ignore_resource_attributes: unset(Vec::new()),
            keep_identifying_resource_attributes: false,
            convert_histograms_to_nhcb: false,
            promote_scope_metadata: false,
            label_name_underscore_sanitization: true,
            label_name_preserve_multiple_underscores: true,
            series_cache: unset(ByteSize::mib(96)),
            delta_to_cumulative: false,
            delta_max_series: unset(100_000),
            delta_max_stale: unset(Duration::from_mins(60)),
            attributes: Vec::new(),
            tenant: None,
            limits: Limits::default(),
        }
    }
}

impl Otlp {
    /// Reports every value outside its range, and attributes that contradict each other.
    pub fn check(&self, at: &mut Checker<'_>) {
        at.within(&self.delta_max_series, "delta_max_series", 1..=100_000_000);
        at.within(&self.delta_max_stale, "delta_max_stale", Duration::from_mins(1)..=Duration::from_days(30));
        at.within(&self.series_cache, "series_cache", ByteSize::mib(1)..=ByteSize::gib(16));
        self.limits.check(&mut at.under("limits"));
        if let Some(tenant) = &self.tenant {
            tenant.check(&mut at.under("tenant"));
        }
        let mut seen = BTreeSet::new();
        for (index, attribute) in self.attributes.iter().enumerate() {
            let path = format!("attributes[{index}].name");
            let name = attribute.name.get_ref().as_str();
            if name.is_empty() {
                at.problem(attribute.name.span(), &path, "expected the name of an attribute, not an empty one");
            } else if !seen.insert(name) {
                at.problem(attribute.name.span(), &path, "this attribute is listed already");
            }
        }
        let (promoted, ignored) = (&self.promote_resource_attributes, &self.ignore_resource_attributes);
        check_attributes(promoted, "promote_resource_attributes", at);
        check_attributes(ignored, "ignore_resource_attributes", at);
        if self.promote_all_resource_attributes && !promoted.get_ref().is_empty() {
            let message = "promote_all_resource_attributes promotes these already; remove one of the two";
            at.problem(promoted.span(), "promote_resource_attributes", message);
        }
        if !self.promote_all_resource_attributes && !ignored.get_ref().is_empty() {
            let message = "has a meaning only with promote_all_resource_attributes = true";
            at.problem(ignored.span(), "ignore_resource_attributes", message);
        }
    }
}

impl Tenant {
    fn check(&self, at: &mut Checker<'_>) {
        if self.attribute.get_ref().is_empty() {
            let message = "expected the name of a resource attribute, not an empty one";
            at.problem(self.attribute.span(), "attribute", message);
        }
        if self.default.get_ref().is_empty() || HeaderValue::try_from(self.default.get_ref()).is_err() {
            at.problem(self.default.span(), "default", "expected a tenant, as a header can hold it");
        }
        if HeaderName::try_from(self.header.get_ref()).is_err() {
            at.problem(self.header.span(), "header", "expected the name of a header");
        }
    }
}

impl Limits {
    fn check(&self, at: &mut Checker<'_>) {
        let limits = [("series_per_tenant", &self.series_per_tenant), ("series_per_metric", &self.series_per_metric)];
        for (path, limit) in limits {
            limit.iter().for_each(|limit| at.within(limit, path, 1..=100_000_000));
        }
        at.within(&self.window, "window", Duration::from_mins(1)..=Duration::from_days(7));
    }
}

/// Reports names that are empty or there twice.
fn check_attributes(names: &Spanned<Vec<String>>, path: &str, at: &mut Checker<'_>) {
    let mut seen = BTreeSet::new();
    for (index, name) in names.get_ref().iter().enumerate() {
        if name.trim().is_empty() {
            at.problem(
                names.span(),
                &format!("{path}[{index}]"),
                "expected the name of an attribute, not an empty one",
            );
        } else if !seen.insert(name.trim()) {
            at.problem(names.span(), &format!("{path}[{index}]"), "this attribute is listed already");
        }
    }
}
