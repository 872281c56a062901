//! What this worker counts beside what every worker does.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::deliver::Version;
use crate::error::Refusal;

/// Why, from a closed list.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Because {
    reason: &'static str,
}

/// An endpoint, by its name in the configuration.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct At {
    sink: String,
}

/// The same, and why.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct AtBecause {
    sink: String,
    reason: &'static str,
}

/// How a request ended.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Ending {
    sink: String,
    outcome: Outcome,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Acknowledged, maybe but for samples that were passed.
    Accepted,
    /// Sent again as 1.0.
    FellBack,
    /// No answer.
    Unreachable,
    /// Not sent: there was no token.
    Unauthorized,
    /// Refused.
    Refused(Refusal),
}

impl EncodeLabelValue for Outcome {
    fn encode(&self, encoder: &mut prometheus_client::encoding::LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        let name = match self {
            Self::Accepted => "accepted",
            Self::FellBack => "fell_back",
            Self::Unreachable => "unreachable",
            Self::Unauthorized => "no_token",
            Self::Refused(why) => why.as_str(),
        };
        name.encode(encoder)
    }
}

/// The counters of one metrics worker; every name is in `docs/instruments.md`.
#[derive(Clone, Debug, Default)]
pub struct Instruments {
    requests: Family<Ending, Counter>,
    passed_samples: Family<AtBecause, Counter>,
    dropped_samples: Family<At, Counter>,
    refused_points: Family<Because, Counter>,
    let_go_points: Family<Because, Counter>,
    protocol_version: Family<At, Gauge>,
    remembered_series: Gauge,
    remembered_bytes: Gauge,
    delta_series: Gauge,
}

/// The counters of one endpoint.
#[derive(Clone, Debug)]
pub(crate) struct Speaker {
    endpoint: String,
    all: Instruments,
}

impl Speaker {
    pub(crate) fn request(&self, outcome: Outcome) {
        self.all.requests.get_or_create(&Ending { sink: self.endpoint.clone(), outcome }).inc();
    }

    pub(crate) fn passed(&self, why: Refusal, samples: usize) {
        let passed = AtBecause { sink: self.endpoint.clone(), reason: why.as_str() };
        self.all.passed_samples.get_or_create(&passed).inc_by(samples as u64);
    }

    pub(crate) fn dropped(&self, samples: u64) {
        if samples > 0 {
            self.all.dropped_samples.get_or_create(&At { sink: self.endpoint.clone() }).inc_by(samples);
        }
    }

    pub(crate) fn speaks(&self, version: Version) {
        self.all.protocol_version.get_or_create(&At { sink: self.endpoint.clone() }).set(version as i64);
    }
}

impl Instruments {
    /// The counters of one endpoint.
    pub(crate) fn speaker(&self, endpoint: &str) -> Speaker {
        Speaker { endpoint: endpoint.to_owned(), all: self.clone() }
    }

    /// Registers the counters, with the prefix and labels of the registry.
    pub fn new(registry: &mut Registry) -> Self {
        let this = Self::default();
        registry.register("remote_write_requests", "Requests, by what became of them", this.requests.clone());
        registry.register(
            "samples_passed",
            "Samples refused because the series has that time already, or is past it",
            this.passed_samples.clone(),
        );
        registry.register(
            "samples_dropped",
            "Samples of series that an endpoint's write_relabel_configs drop",
            this.dropped_samples.clone(),
        );
        registry.register("points_refused", "Points without a translation, by reason", this.refused_points.clone());
        registry.register(
            "points_let_go",
            "Points and exemplars that are counted and let go, by reason",
            this.let_go_points.clone(),
        );
        registry.register(
            "remote_write_version",
            "The major version of the protocol in use",
            this.protocol_version.clone(),
        );
        registry.register(
            "attribute_sets_remembered",
            "Sets of attributes in the caches, each with its series",
            this.remembered_series.clone(),
        );
        registry.register_with_unit(
            "series_cache",
            "What the caches weigh, about",
            Unit::Bytes,
            this.remembered_bytes.clone(),
        );
        registry.register("delta_series", "Series of deltas that are added up", this.delta_series.clone());
        this
    }

    pub(crate) fn refused(&self, reason: &'static str, points: u32) {
        self.refused_points.get_or_create(&Because { reason }).inc_by(u64::from(points));
    }

    pub(crate) fn let_go(&self, reason: &'static str, count: u32) {
        self.let_go_points.get_or_create(&Because { reason }).inc_by(u64::from(count));
    }

    /// Says that a partition's share has grown or shrunk from `before` to `after`: series and bytes of its cache, and
    /// series of deltas.
    pub(crate) fn remembered(&self, before: [usize; 3], after: [usize; 3]) {
        let gauges = [&self.remembered_series, &self.remembered_bytes, &self.delta_series];
        for ((gauge, before), after) in gauges.into_iter().zip(before).zip(after) {
            gauge.inc_by(i64::try_from(after).unwrap_or(i64::MAX) - i64::try_from(before).unwrap_or(i64::MAX));
        }
    }
}
