//! What every worker counts, whatever its kind.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use weir_contract::Batch;

/// A partition, as labels.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct Of {
    pub topic: String,
    pub partition: i32,
}

/// An outlet.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct To {
    pub sink: String,
}

/// Why a record was rejected, from the worker's closed list.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct Because {
    pub reason: &'static str,
}

/// What became of a delivery or a commit.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct Ending {
    pub outcome: &'static str,
}

/// The counters of one worker; every name is in `docs/instruments.md`.
#[derive(Clone, Debug)]
pub struct Instruments {
    pub(crate) received_records: Family<Of, Counter>,
    pub(crate) received_bytes: Family<Of, Counter>,
    /// The same over all partitions, for [`Instruments::totals`].
    pub(crate) received: [Counter; 2],
    pub(crate) passed_over_records: Family<Of, Counter>,
    pub(crate) lag_records: Family<Of, Gauge>,
    pub(crate) rejected_records: Family<Because, Counter>,
    pub(crate) dead_letters: Counter,
    pub(crate) delivered_items: Counter,
    pub(crate) deliveries: Family<Ending, Counter>,
    pub(crate) delivery_seconds: Histogram,
    pub(crate) commits: Family<Ending, Counter>,
    pub(crate) commit_seconds: Histogram,
    pub(crate) gap_records: Family<Of, Counter>,
    pub(crate) rebalances: Family<Ending, Counter>,
    pub(crate) pauses: Gauge,
    pub(crate) partitions: Gauge,
    pub(crate) panics: Counter,
    pub(crate) under_way_bytes: Gauge,
    pub(crate) blocked: Family<To, Gauge>,
}

/// What a worker has done since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Records taken from Kafka.
    pub records: u64,
    /// What they weigh, in bytes.
    pub bytes: u64,
    /// Items that the outside acknowledged.
    pub delivered: u64,
    /// Dead letters committed.
    pub dead_letters: u64,
}

impl Instruments {
    /// What the worker has done since it started.
    pub fn totals(&self) -> Totals {
        let [records, bytes] = &self.received;
        Totals {
            records: records.get(),
            bytes: bytes.get(),
            delivered: self.delivered_items.get(),
            dead_letters: self.dead_letters.get(),
        }
    }

    pub(crate) fn received(&self, of: &Of, batch: &Batch) {
        let [all_records, all_bytes] = &self.received;
        for (count, all, family) in
            [(batch.len(), all_records, &self.received_records), (batch.weight(), all_bytes, &self.received_bytes)]
        {
            all.inc_by(count as u64);
            family.get_or_create(of).inc_by(count as u64);
        }
        if batch.passed_over() > 0 {
            self.passed_over_records.get_or_create(of).inc_by(batch.passed_over() as u64);
        }
    }

    /// Registers the counters under `weir_`, with what the registry's own labels say.
    pub fn new(registry: &mut Registry) -> Self {
        let seconds = || Histogram::new(exponential_buckets(0.001, 2.0, 16));
        let this = Self {
            received_records: Family::default(),
            received_bytes: Family::default(),
            received: Default::default(),
            passed_over_records: Family::default(),
            lag_records: Family::default(),
            rejected_records: Family::default(),
            dead_letters: Counter::default(),
            delivered_items: Counter::default(),
            deliveries: Family::default(),
            delivery_seconds: seconds(),
            commits: Family::default(),
            commit_seconds: seconds(),
            gap_records: Family::default(),
            rebalances: Family::default(),
            pauses: Gauge::default(),
            partitions: Gauge::default(),
            panics: Counter::default(),
            under_way_bytes: Gauge::default(),
            blocked: Family::default(),
        };
        this.register(registry);
        this
    }

    fn register(&self, registry: &mut Registry) {
        registry.register("records_received", "Records taken from Kafka", self.received_records.clone());
        let help = "What the records taken from Kafka weigh";
        registry.register_with_unit("received", help, Unit::Bytes, self.received_bytes.clone());
        let help = "Redriven records for another group, which were passed over";
        registry.register("records_passed_over", help, self.passed_over_records.clone());
        registry.register("lag_records", "Records behind the end of the partition", self.lag_records.clone());
        registry.register("records_rejected", "Records rejected, by reason", self.rejected_records.clone());
        registry.register("dead_letters", "Dead letters committed", self.dead_letters.clone());
        registry.register("items_delivered", "Items that the outside acknowledged", self.delivered_items.clone());
        registry.register("deliveries", "Requests to the outside, by outcome", self.deliveries.clone());
        registry.register_with_unit(
            "delivery",
            "From the request to its answer",
            Unit::Seconds,
            self.delivery_seconds.clone(),
        );
        registry.register("commits", "Transactions, by outcome", self.commits.clone());
        registry.register_with_unit(
            "commit",
            "From collecting to the transaction's end",
            Unit::Seconds,
            self.commit_seconds.clone(),
        );
        registry.register(
            "gap_records",
            "Records that retention removed before they were read",
            self.gap_records.clone(),
        );
        registry.register("rebalances", "Partitions assigned, revoked and lost", self.rebalances.clone());
        registry.register("budget_pauses", "How often fetching was paused for the budget", self.pauses.clone());
        registry.register("partitions", "Partitions that this process has", self.partitions.clone());
        registry.register("processor_panics", "Records on which the processor died", self.panics.clone());
        registry.register_with_unit(
            "under_way",
            "What the process holds of the budget",
            Unit::Bytes,
            self.under_way_bytes.clone(),
        );
        registry.register(
            "sink_blocked",
            "Whether the outside refuses everything until a person helps",
            self.blocked.clone(),
        );
    }
}
