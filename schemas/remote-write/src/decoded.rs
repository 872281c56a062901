//! A request as its receiver sees it, the same for both versions.

use crate::{Exemplar, Histogram, MetricType, Sample};

/// How much the labels, helps and units of one request of 2.0 may take once copied out of
/// its symbols: 256 MiB, ten times what a common limit of the body leaves honest senders.
pub const LABEL_BYTES_MAX: usize = 256 << 20;

/// A decoded request.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Request {
    /// In the order of the request; the same labels may come more than once.
    pub series: Vec<TimeSeries>,
    /// Metadata a metric, which only 1.0 has.
    pub families: Vec<FamilyMetadata>,
}

/// A decoded series.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TimeSeries {
    /// Names and values.
    pub labels: Vec<(String, String)>,
    /// Float samples.
    pub samples: Vec<Sample>,
    /// Native histograms.
    pub histograms: Vec<Histogram>,
    /// Exemplars.
    pub exemplars: Vec<Exemplar>,
    /// Metadata of the series, which only 2.0 has.
    pub metadata: Metadata,
}

/// What is said of a metric beside its values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Its type; one that is not known is `Unknown`.
    pub kind: MetricType,
    /// What it means.
    pub help: String,
    /// Its unit.
    pub unit: String,
}

/// Metadata under the name of its metric.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FamilyMetadata {
    /// Name of the metric, without suffixes such as `_bucket`.
    pub name: String,
    /// What is said of it.
    pub metadata: Metadata,
}
