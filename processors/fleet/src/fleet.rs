//! Runs workers in one process: what they share, and each on a thread of its own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::Context;
use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use tokio::runtime::Handle;
use tokio::sync::watch;
use weir_contract::{Budget, Charge, Limits};
use weir_kafka::{Ends, Identity};
use weir_runtime::{Clock, Defect, Instruments, Settings, Setup, Status, Threads, Worker};

use crate::admin::Shown;
use crate::connection::{self, Connection};
use crate::topology::Topology;

/// Workers that run in this process.
pub struct Fleet {
    shared: Shared,
    registry: Arc<Mutex<Registry>>,
    stop: watch::Sender<bool>,
    running: Vec<Running>,
    /// Where its workers end, which only a bounded run has.
    bounded: Option<Bounded>,
}

/// A run that ends.
struct Bounded {
    ends: Arc<Ends>,
    /// Whom it stands in for.
    group: String,
}

/// What the workers of a process share.
#[derive(Clone)]
struct Shared {
    handle: Handle,
    budget: Budget,
    clock: Clock,
    limits: Limits,
}

/// A worker that runs.
pub struct Running {
    /// Its name in the topology.
    pub name: String,
    /// How it stands.
    pub status: Status,
    /// Its counters.
    pub instruments: Instruments,
    /// What the client fetches ahead counts as under way.
    _prefetch: Charge,
    thread: JoinHandle<Result<(), Defect>>,
}

impl Fleet {
    /// A fleet of no worker yet; to be called within a tokio runtime of several threads.
    pub fn new(topology: &Topology) -> Self {
        let limit = topology.process.budget.get_ref().get_usize();
        Self {
            shared: Shared {
                handle: Handle::current(),
                budget: Budget::new(limit),
                clock: Clock::real(),
                limits: connection::limits(topology),
            },
            registry: Arc::new(Mutex::new(Registry::with_prefix("weir"))),
            stop: watch::Sender::new(false),
            running: Vec::new(),
            bounded: None,
        }
    }

    /// A fleet whose workers take nothing at those ends or above, and stand in for a group of another name: records that
    /// were redriven for it are theirs too, and their dead letters are its own.
    pub fn until(topology: &Topology, ends: Ends, group: &str) -> Self {
        let bounded = Bounded { ends: Arc::new(ends), group: group.to_owned() };
        Self { bounded: Some(bounded), ..Self::new(topology) }
    }

    /// The registry of the process, for a worker's own counters.
    pub fn registry(&self) -> Arc<Mutex<Registry>> {
        Arc::clone(&self.registry)
    }

    /// Starts a worker on a thread of its own.
    ///
    /// # Errors
    /// The system has no thread left.
    pub fn start<W: Worker>(
        &mut self,
        worker: W,
        identity: Identity,
        settings: Settings,
        connection: Connection,
    ) -> anyhow::Result<()> {
        let name = identity.worker.clone();
        let prefetch = connection.prefetch_bytes();
        let status = Status::default();
        let instruments = {
            let mut registry = self.registry.lock();
            Instruments::new(registry.sub_registry_with_label(("worker".into(), name.clone().into())))
        };
        let group = self.bounded.as_ref().map_or(identity.group.clone(), |bounded| bounded.group.clone());
        let setup = Setup {
            identity: Identity { group, ..identity },
            settings,
            limits: self.shared.limits.clone(),
            ends: self.bounded.as_ref().map(|bounded| Arc::clone(&bounded.ends)),
            threads: Threads::Real(self.shared.handle.clone()),
            budget: self.shared.budget.clone(),
            clock: self.shared.clock,
            instruments: instruments.clone(),
            status: status.clone(),
        };
        let (handle, stop) = (self.shared.handle.clone(), self.stop.subscribe());
        let run = move || handle.block_on(weir_runtime::run(Arc::new(worker), setup, || connection.connect(), stop));
        let thread = std::thread::Builder::new()
            .name(name.clone())
            .spawn(run)
            .with_context(|| format!("could not start a thread for worker {name}"))?;
        let prefetch = self.shared.budget.charge(prefetch);
        self.running.push(Running { name, status, instruments, _prefetch: prefetch, thread });
        Ok(())
    }

    /// What the admin server shows.
    pub fn shown(&self) -> Shown {
        let workers: BTreeMap<_, _> =
            self.running.iter().map(|running| (running.name.clone(), running.status.clone())).collect();
        Shown { registry: Arc::clone(&self.registry), workers }
    }

    /// The workers.
    pub fn running(&self) -> &[Running] {
        &self.running
    }

    /// What is under way, in bytes.
    pub fn under_way_bytes(&self) -> usize {
        self.shared.budget.used_bytes()
    }

    /// Whether a worker has ended, which without being asked it does only for a defect.
    pub fn has_ended(&self) -> bool {
        self.running.iter().any(|running| running.thread.is_finished())
    }

    /// Asks every worker to bring what is under way to its end.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Waits for the end of every worker.
    ///
    /// # Errors
    /// The first worker that forgot something, or died.
    pub fn join(self) -> anyhow::Result<()> {
        let mut result = Ok(());
        for Running { name, thread, .. } in self.running {
            let ended = match thread.join() {
                Ok(ended) => ended.with_context(|| format!("worker {name} has a defect")),
                Err(_) => Err(anyhow::anyhow!("worker {name} died")),
            };
            result = result.and(ended);
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prometheus_client::registry::Registry;
    use weir_runtime::Instruments;

    /// The names that are registered, read off the source: a family without labels yet is not shown at `/metrics`.
    fn registered() -> BTreeSet<String> {
        let sources = [
            include_str!("../../runtime/src/instruments.rs"),
            include_str!("../../metrics/src/instruments.rs"),
            include_str!("../../logs/src/instruments.rs"),
            include_str!("up/receiver.rs"),
        ];
        let calls = sources.into_iter().flat_map(|source| source.split(".register").skip(1));
        let named = calls.filter_map(|call| call.split(';').next()?.split('"').nth(1));
        named.map(str::to_owned).collect()
    }

    /// The names in the documentation, without prefix, unit and kind.
    fn documented() -> BTreeSet<String> {
        let page = include_str!("../../../docs/instruments.md");
        let rows = page.lines().filter_map(|line| line.strip_prefix("| `weir_")?.split_once('`'));
        rows.map(|(name, _)| name.trim_end_matches("_total").to_owned()).collect()
    }

    #[test]
    fn every_counter_is_in_the_documentation_and_no_other() {
        let registered = registered();
        assert!(registered.len() > 20, "{registered:?}");
        let without_unit = |name: String| match name.as_str() {
            "received_bytes" | "under_way_bytes" | "series_cache_bytes" => name.trim_end_matches("_bytes").to_owned(),
            "delivery_seconds" | "commit_seconds" => name.trim_end_matches("_seconds").to_owned(),
            _ => name,
        };
        assert_eq!(registered, documented().into_iter().map(without_unit).collect());
    }

    #[test]
    fn what_is_shown_is_documented_with_its_unit_and_kind() {
        let mut registry = Registry::with_prefix("weir");
        Instruments::new(&mut registry);
        weir_metrics::Instruments::new(&mut registry);
        weir_logs::Instruments::new(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        let page = include_str!("../../../docs/instruments.md");
        let mut shown = 0;
        for (name, kind) in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')) {
            let total = if kind == "counter" { "_total" } else { "" };
            let row = format!("| `{name}{total}` | {kind} |");
            assert!(page.contains(&row), "{row}");
            shown += 1;
        }
        assert!(shown > 10, "{text}");
    }
}
