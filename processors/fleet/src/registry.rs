//! Every kind of worker, and how the topology makes one.

use std::sync::Arc;

use anyhow::Context;
use weir_contract::{NoSink, TopicPartition};
use weir_kafka::FeedLimits;
use weir_kafka::real;
use weir_logs::{LogsProcessor, Rulings, SharedTables};
use weir_metrics::config::Endpoint;
use weir_metrics::{MetricsProcessor, Remote, RemoteWriteSink, Shared};
use weir_runtime::{Outlet, Settings, Worker};

use crate::connection::{self, Connection};
use crate::fleet::Fleet;
use crate::tables;
use crate::topology::{self, Kind, Topology};

/// How much a batch holds: enough that what is done once a batch costs nothing, little enough that one for each
/// partition is little of any budget.
const BATCH: FeedLimits = FeedLimits { batch_records: 1_000, batch_bytes: 1 << 20 };
/// How often processors are told the time.
const TICK_INTERVAL: std::time::Duration = std::time::Duration::from_secs(1);
/// The share of the budget that the clients of all workers may fetch ahead: a quarter.
const PREFETCH_SHARE: usize = 4;

/// The metrics worker, as the runtime runs it.
pub struct Metrics {
    config: weir_metrics::Config,
    remotes: Vec<Remote>,
    shared: Arc<Shared>,
    instruments: weir_metrics::Instruments,
}

impl Worker for Metrics {
    type Processor = MetricsProcessor;
    type Sink = RemoteWriteSink;

    fn processor(&self, _: &TopicPartition) -> MetricsProcessor {
        MetricsProcessor::new(&self.config, &self.shared, self.instruments.clone())
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "an outlet is a remote: both are made of the configuration's endpoints"
    )]
    fn sink(&self, outlet: usize) -> RemoteWriteSink {
        RemoteWriteSink::new(&self.remotes[outlet])
    }

    fn detail(&self) -> serde_json::Value {
        self.shared.told()
    }
}

/// The logs worker, as the runtime runs it.
struct Logs {
    rulings: Rulings,
    tables: SharedTables,
    instruments: weir_logs::Instruments,
}

impl Worker for Logs {
    type Processor = LogsProcessor;
    type Sink = NoSink;

    fn processor(&self, id: &TopicPartition) -> LogsProcessor {
        LogsProcessor::new(&self.rulings, id, self.tables.clone(), self.instruments.clone())
    }

    fn sink(&self, _: usize) -> NoSink {
        NoSink
    }
}

/// Starts workers by their names.
///
/// # Errors
/// There is no worker of that name, or one cannot be set up.
pub fn start(
    fleet: &mut Fleet,
    topology: &Topology,
    names: &[String],
    brokers: &real::Connection,
) -> anyhow::Result<()> {
    start_as(fleet, topology, names, brokers, |metrics| metrics)
}

/// Starts workers by their names, the metrics workers as what `wrap` makes of them: tests put faults around them.
///
/// # Errors
/// Those of [`start`].
pub fn start_as<W: Worker>(
    fleet: &mut Fleet,
    topology: &Topology,
    names: &[String],
    brokers: &real::Connection,
    wrap: impl Fn(Metrics) -> W,
) -> anyhow::Result<()> {
    let prefetch = topology.process.budget.get_ref().get_usize() / PREFETCH_SHARE / names.len().max(1);
    for name in names {
        let worker = topology.worker(name)?;
        let connection = Connection::new(topology, worker, brokers.clone(), prefetch);
        let identity = connection::identity(topology, name, worker);
        match &worker.kind {
            Kind::RemoteWrite(config) => {
                let outlets = config.remote_write.iter().map(outlet).collect();
                let settings = Settings { outlets, ..settings(topology, worker) };
                let metrics = metrics(fleet, config, name)?;
                fleet.start(wrap(metrics), identity, settings, connection)?;
            }
            Kind::Enrich(config) => {
                let logs = logs(fleet, config, name, &worker.group)?;
                fleet.start(logs, identity, settings(topology, worker), connection)?;
            }
        }
    }
    Ok(())
}

/// How a worker runs that delivers nothing to the outside.
fn settings(topology: &Topology, worker: &topology::Worker) -> Settings {
    Settings {
        lanes: *topology.process.lanes.get_ref(),
        outlets: Vec::new(),
        commit_interval: worker.commit_interval.into(),
        commit_bytes: connection::COMMIT_BYTES,
        revoke_timeout: worker.revoke_timeout.into(),
        drain_timeout: worker.drain_timeout.into(),
        tick_interval: TICK_INTERVAL,
        start: connection::start(worker),
        batch: BATCH,
        seed: connection::random(),
    }
}

fn metrics(fleet: &Fleet, config: &weir_metrics::Config, name: &str) -> anyhow::Result<Metrics> {
    let registry = fleet.registry();
    let mut registry = registry.lock();
    let instruments =
        weir_metrics::Instruments::new(registry.sub_registry_with_label(("worker".into(), name.to_owned().into())));
    let remotes = config.remote_write.iter().enumerate().map(|(place, endpoint)| {
        Remote::new(config, place, &instruments).with_context(|| format!("worker {name}, endpoint {}", endpoint.name()))
    });
    Ok(Metrics {
        remotes: remotes.collect::<anyhow::Result<_>>()?,
        shared: Shared::new(config).with_context(|| format!("worker {name}"))?,
        config: config.clone(),
        instruments,
    })
}

fn logs(fleet: &Fleet, config: &weir_logs::Config, name: &str, group: &str) -> anyhow::Result<Logs> {
    let registry = fleet.registry();
    let mut registry = registry.lock();
    let instruments =
        weir_logs::Instruments::new(registry.sub_registry_with_label(("worker".into(), name.to_owned().into())));
    let rulings = Rulings::new(config, group).with_context(|| format!("worker {name}"))?;
    let tables = tables::keep(name, config, instruments.clone()).with_context(|| format!("worker {name}"))?;
    Ok(Logs { rulings, tables, instruments })
}

fn outlet(endpoint: &Endpoint) -> Outlet {
    Outlet {
        name: endpoint.name().into(),
        shards: usize::try_from(*endpoint.shards.get_ref()).unwrap_or(1),
        max_items: usize::try_from(*endpoint.max_samples.get_ref()).unwrap_or(1),
        linger: (*endpoint.linger.get_ref()).into(),
    }
}
