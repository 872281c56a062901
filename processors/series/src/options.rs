//! What of the translation can be chosen, as in Prometheus's own `otlp:` block.

use crate::delta::DeltaLimits;
use crate::fate::Fate;

/// How OTLP names become Prometheus names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strategy {
    /// Other characters become `_`; units and types become suffixes.
    #[default]
    UnderscoreEscapingWithSuffixes,
    /// Other characters become `_`; nothing is appended.
    UnderscoreEscapingWithoutSuffixes,
    /// Names keep their characters; units and types become suffixes.
    NoUtf8EscapingWithSuffixes,
    /// Names stay as they are.
    NoTranslation,
}

impl Strategy {
    /// Whether characters that a Prometheus name could not have before UTF-8 are replaced.
    pub(crate) fn escapes(self) -> bool {
        matches!(self, Self::UnderscoreEscapingWithSuffixes | Self::UnderscoreEscapingWithoutSuffixes)
    }

    /// Whether unit and type are appended to a metric's name.
    pub(crate) fn suffixes(self) -> bool {
        matches!(self, Self::UnderscoreEscapingWithSuffixes | Self::NoUtf8EscapingWithSuffixes)
    }
}

/// Which resource attributes become labels of every series of the resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Promote {
    /// Those named.
    Only(Vec<String>),
    /// All but those named.
    AllBut(Vec<String>),
}

impl Promote {
    pub(crate) fn promotes(&self, attribute: &str) -> bool {
        match self {
            Self::Only(names) => names.iter().any(|name| name == attribute),
            Self::AllBut(names) => names.iter().all(|name| name != attribute),
        }
    }
}

/// The choices. The default is that of Prometheus 3.13, which has none for deltas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// `translation_strategy`.
    pub strategy: Strategy,
    /// `promote_resource_attributes`, or `promote_all_resource_attributes` with
    /// `ignore_resource_attributes`.
    pub promote: Promote,
    /// `keep_identifying_resource_attributes`: `target_info` names the service's attributes, too.
    pub keep_identifying: bool,
    /// Whether deltas are added up, and within which limits.
    pub delta: Option<DeltaLimits>,
    /// `convert_histograms_to_nhcb`: histograms become native ones with custom buckets.
    pub convert_histograms: bool,
    /// `promote_scope_metadata`: the scope becomes `otel_scope_*` labels.
    pub promote_scope: bool,
    /// `label_name_underscore_sanitization`: labels that start with one `_` get `key` before it.
    pub underscore_sanitization: bool,
    /// `label_name_preserve_multiple_underscores`: `__` within a label does not become `_`.
    pub preserve_multiple_underscores: bool,
    /// What becomes of attributes of these names before all else.
    pub fates: Vec<(String, Fate)>,
    /// The resource attribute that says whose the series are, as it was sent.
    pub tenant: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            strategy: Strategy::default(),
            promote: Promote::Only(Vec::new()),
            keep_identifying: false,
            delta: None,
            convert_histograms: false,
            promote_scope: false,
            underscore_sanitization: true,
            preserve_multiple_underscores: true,
            fates: Vec::new(),
            tenant: None,
        }
    }
}
