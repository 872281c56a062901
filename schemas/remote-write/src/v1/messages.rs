//! The messages of 1.0 as prost reads them.

use prost::Message;

use crate::{FamilyMetadata, Histogram, Metadata, Request, TimeSeries as Series};

#[derive(Clone, PartialEq, Message)]
pub(super) struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    pub(super) timeseries: Vec<TimeSeries>,
    #[prost(message, repeated, tag = "3")]
    pub(super) metadata: Vec<MetricMetadata>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    pub(super) labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    pub(super) samples: Vec<Sample>,
    #[prost(message, repeated, tag = "3")]
    pub(super) exemplars: Vec<Exemplar>,
    #[prost(message, repeated, tag = "4")]
    pub(super) histograms: Vec<Histogram>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct Label {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) value: String,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct Sample {
    #[prost(double, tag = "1")]
    pub(super) value: f64,
    #[prost(int64, tag = "2")]
    pub(super) timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Exemplar {
    #[prost(message, repeated, tag = "1")]
    pub(super) labels: Vec<Label>,
    #[prost(double, tag = "2")]
    pub(super) value: f64,
    #[prost(int64, tag = "3")]
    pub(super) timestamp: i64,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct MetricMetadata {
    #[prost(enumeration = "crate::MetricType", tag = "1")]
    pub(super) kind: i32,
    #[prost(string, tag = "2")]
    pub(super) metric_family_name: String,
    #[prost(string, tag = "4")]
    pub(super) help: String,
    #[prost(string, tag = "5")]
    pub(super) unit: String,
}

impl From<WriteRequest> for Request {
    fn from(request: WriteRequest) -> Self {
        Self {
            series: request.timeseries.into_iter().map(Series::from).collect(),
            families: request.metadata.into_iter().map(FamilyMetadata::from).collect(),
        }
    }
}

impl From<TimeSeries> for Series {
    fn from(series: TimeSeries) -> Self {
        Self {
            labels: pairs(series.labels),
            samples: series.samples.into_iter().map(crate::Sample::from).collect(),
            histograms: series.histograms,
            exemplars: series.exemplars.into_iter().map(crate::Exemplar::from).collect(),
            metadata: Metadata::default(),
        }
    }
}

impl From<Sample> for crate::Sample {
    fn from(sample: Sample) -> Self {
        Self { value: sample.value, timestamp_ms: sample.timestamp, start_timestamp_ms: 0 }
    }
}

impl From<Exemplar> for crate::Exemplar {
    fn from(exemplar: Exemplar) -> Self {
        Self { labels: pairs(exemplar.labels), value: exemplar.value, timestamp_ms: exemplar.timestamp }
    }
}

impl From<MetricMetadata> for FamilyMetadata {
    fn from(metadata: MetricMetadata) -> Self {
        let kind = metadata.kind();
        Self {
            name: metadata.metric_family_name,
            metadata: Metadata { kind, help: metadata.help, unit: metadata.unit },
        }
    }
}

fn pairs(labels: Vec<Label>) -> Vec<(String, String)> {
    labels.into_iter().map(|label| (label.name, label.value)).collect()
}
