//! `[worker.NAME.remote_write]`: where samples go, how they are packed, and how OTLP is translated.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use weir_config::{ByteSize, Checker, Duration, Spanned, unset};

/// Configuration of a metrics worker.
///
/// The keys from `translation_strategy` to `label_name_preserve_multiple_underscores` have the names, the meaning and
/// the defaults of the `otlp:` block of Prometheus 3.13.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The receiver; `http` or `https`, without credentials.
    pub url: Spanned<String>,
    /// The version of the remote-write protocol.
    pub protocol: Protocol,
    /// Samples of one request, 1 to 1,000,000.
    pub max_samples: Spanned<u32>,
    /// Bytes of one request before compression, 64KiB to 32MiB, which is the most that Prometheus decodes.
    pub max_bytes: Spanned<ByteSize>,
    /// How long a request waits for more samples, 0s to 1m.
    pub linger: Spanned<Duration>,
    /// Requests under way at once, 1 to 256; a series always goes to the same shard.
    pub shards: Spanned<u32>,
    /// How long the receiver may take to answer, 100ms to 10m.
    pub timeout: Spanned<Duration>,
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
}

/// The version of the remote-write protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
pub enum Protocol {
    /// 2.0, and 1.0 from when the receiver does not understand that.
    #[default]
    #[serde(rename = "auto")]
    Auto,
    /// 1.0 only.
    #[serde(rename = "1.0")]
    V1,
    /// 2.0 only.
    #[serde(rename = "2.0")]
    V2,
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

impl Default for Config {
    fn default() -> Self {
        Self {
            url: unset("http://127.0.0.1:9090/api/v1/write".to_owned()),
            protocol: Protocol::Auto,
            max_samples: unset(10_000),
            max_bytes: unset(ByteSize::mib(4)),
            linger: unset(Duration::from_millis(200)),
            shards: unset(4),
            timeout: unset(Duration::from_secs(30)),
            translation_strategy: TranslationStrategy::default(),
            promote_resource_attributes: unset(Vec::new()),
            promote_all_resource_attributes: false,
            ignore_resource_attributes: unset(Vec::new()),
            keep_identifying_resource_attributes: false,
            convert_histograms_to_nhcb: false,
            promote_scope_metadata: false,
            label_name_underscore_sanitization: true,
            label_name_preserve_multiple_underscores: true,
            series_cache: unset(ByteSize::mib(64)),
        }
    }
}

impl Config {
    /// Reports every value outside its range, and attributes that contradict each other.
    pub fn check(&self, at: &mut Checker<'_>) {
        at.url(&self.url, "url");
        at.within(&self.max_samples, "max_samples", 1..=1_000_000);
        at.within(&self.max_bytes, "max_bytes", ByteSize::kib(64)..=ByteSize::mib(32));
        at.within(&self.linger, "linger", Duration::from_secs(0)..=Duration::from_mins(1));
        at.within(&self.shards, "shards", 1..=256);
        at.within(&self.timeout, "timeout", Duration::from_millis(100)..=Duration::from_mins(10));
        at.within(&self.series_cache, "series_cache", ByteSize::mib(1)..=ByteSize::gib(16));

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

#[cfg(test)]
mod tests;
