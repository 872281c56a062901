//! `weir up`: everything in one process, and a verdict, item by item, on what went through it.
//!
//! An embedded Kafka, a generator, the workers, and receivers that judge what arrives against what the generator made.

mod lines;
mod outstanding;
mod prometheus;
mod receiver;
mod summary;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::sync::watch;
use weir_contract::{Output, TopicPartition};
use weir_generate::{Generator, Record, Signal};
use weir_kafka::real::{Admin, Embedded, LoadProducer};

pub use summary::Summary;

use crate::fleet::Fleet;
use crate::registry::Metrics;
use crate::topology::{DEAD_LETTERS, Kind, LOGS_DEAD_LETTERS, Topology, Worker};
use crate::{admin, connection, load, registry};
use lines::Lines;
use outstanding::Outstanding;
use receiver::Judge;
use table::{Display, Row};

/// How often anything is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// How long the workers may get nowhere before the rest counts as missing.
const STALL: Duration = Duration::from_secs(30);
/// How long the last records may take to the broker.
const FLUSH: Duration = Duration::from_secs(10);

/// Where lines are counted to: beside what the generator makes, by whose offsets it is told what waits.
const LINES_COUNTED: &str = "telemetry-metrics-of-lines";

/// What `weir up` is asked for.
#[derive(Debug, Clone)]
pub struct Options {
    /// What the generator makes.
    pub load: weir_generate::Config,
    /// How much of it, and for how long.
    pub pace: load::Pace,
    /// A real Prometheus to write to, as the base of its URLs.
    pub prometheus: Option<String>,
    /// Where the admin server listens, if not where the topology says.
    pub admin: Option<std::net::SocketAddr>,
}

/// The topic of each signal.
pub const TOPICS: [(Signal, &str); 3] =
    [(Signal::Metrics, "telemetry-metrics"), (Signal::Logs, "telemetry-logs"), (Signal::Traces, "telemetry-traces")];

/// What runs, and what it is judged by.
struct Up {
    topology: Topology,
    /// The last to be dropped: everything talks to it.
    embedded: Embedded,
    fleet: Fleet,
    judge: Judge,
    outstanding: Arc<Outstanding>,
    lines: Lines,
    started: Instant,
}

/// Runs until the time is over or `stop` says so, then brings everything to its end and judges it.
///
/// # Errors
/// Something cannot be set up, or a worker has a defect.
pub async fn run<W: weir_runtime::Worker>(
    mut topology: Topology,
    options: &Options,
    wrap: impl Fn(Metrics) -> W,
    stop: watch::Receiver<bool>,
) -> anyhow::Result<Summary> {
    let generator = Generator::new(options.load.clone(), load::now())?;
    let judge = Judge::new(generator.made(), measure_beside(&mut topology));
    let changelogs: Vec<_> = topology.workers.values().filter_map(Worker::state_topic).collect();
    let most = topology.topics.values().map(|topic| topic.partitions).max().unwrap_or(1);
    let topics = topology.topics.iter().map(|(name, topic)| (name, topic.partitions));
    let topics: Vec<_> = topics
        .chain(changelogs.iter().map(|name| (name, most)))
        .map(|(name, partitions)| Ok((name.as_str(), i32::try_from(partitions)?)))
        .collect::<anyhow::Result<_>>()?;
    let embedded = Embedded::start(&topics)?;
    topology.kafka.brokers = weir_config::unset(vec![embedded.bootstrap().to_owned()]);
    let url = match &options.prometheus {
        Some(url) => format!("{}/api/v1/write", url.trim_end_matches('/')),
        None => receiver::serve(judge.clone()).await?,
    };
    for worker in topology.workers.values_mut() {
        if let Kind::RemoteWrite(config) = &mut worker.kind {
            for endpoint in config.remote_write.iter_mut() {
                endpoint.url = weir_config::unset(url.clone());
            }
        }
    }

    let mut fleet = Fleet::new(&topology);
    judge.register(&mut fleet.registry().lock());
    let names: Vec<_> = topology.workers.keys().cloned().collect();
    registry::start_as(&mut fleet, &topology, &names, &connection::brokers(&topology, true), wrap)?;
    let address = admin::serve(options.admin.unwrap_or(topology.process.admin), fleet.shown()).await?;
    tracing::info!(admin = %address, "up; the embedded Kafka's data dies with this process");
    let outstanding = Arc::new(Outstanding::new(&topology));
    let lines = Lines::judge(&topology, judge.clone())?;
    let up = Up { topology, embedded, fleet, judge, outstanding, lines, started: Instant::now() };
    up.serve(generator, options, stop).await
}

/// Gives what lines are counted to a topic of its own, for the workers that would read it anyhow; the groups that count.
fn measure_beside(topology: &mut Topology) -> BTreeSet<String> {
    let mut groups = BTreeSet::new();
    let mut beside = BTreeSet::new();
    for worker in topology.workers.values_mut() {
        if let Kind::Enrich(config) = &mut worker.kind
            && config.measure.is_on()
        {
            groups.insert(worker.group.clone());
            let output = weir_config::unset(LINES_COUNTED.to_owned());
            beside.insert(std::mem::replace(&mut config.measure.output, output).into_inner());
        }
    }
    for worker in topology.workers.values_mut() {
        if worker.topics.iter().any(|topic| beside.contains(topic)) {
            worker.topics.push(LINES_COUNTED.to_owned());
        }
    }
    let like = beside.iter().find_map(|topic| topology.topics.get(topic).cloned());
    topology.topics.extend(like.map(|topic| (LINES_COUNTED.to_owned(), topic)));
    groups
}

impl Up {
    async fn serve(
        mut self,
        generator: Generator,
        options: &Options,
        stop: watch::Receiver<bool>,
    ) -> anyhow::Result<Summary> {
        let enough = Arc::new(AtomicBool::new(false));
        let load = self.load(generator, options.pace.clone(), Arc::clone(&enough))?;
        let mut watch = Watch::new();
        while !load.is_finished() && !*stop.borrow() && !self.fleet.has_ended() {
            watch.look(&self)?;
            tokio::time::sleep(LOOK).await;
        }
        enough.store(true, Ordering::SeqCst);
        let load = tokio::task::spawn_blocking(|| load.join()).await.context("waiting for the load")?;
        let produced = load.map_err(|_| anyhow::anyhow!("the generator's thread died"))??;

        self.settle(&mut watch).await?;
        watch.last(&self)?;
        let Self { topology, embedded, fleet, judge, lines, started, .. } = self;
        fleet.stop();
        tokio::task::spawn_blocking(|| fleet.join()).await.context("waiting for the workers")??;
        tokio::task::spawn_blocking(|| lines.finish()).await.context("waiting for the last lines")??;
        if let Some(url) = &options.prometheus {
            prometheus::ask(url, &judge, started.elapsed()).await?;
        }
        let dead_letters = dead_letters(&topology)?;
        drop(embedded);
        Ok(Summary::new(&produced, &dead_letters, &judge, options.prometheus.is_none(), started.elapsed()))
    }

    /// Waits until everything produced is committed, or nothing moves any more.
    async fn settle(&mut self, watch: &mut Watch) -> anyhow::Result<()> {
        let mut moved = (Instant::now(), 0);
        while !self.fleet.has_ended() {
            self.outstanding.committed(&self.fleet);
            let waiting = self.outstanding.records();
            if waiting == 0 {
                break;
            }
            if waiting != moved.1 {
                moved = (Instant::now(), waiting);
            } else if moved.0.elapsed() > STALL {
                let seconds = STALL.as_secs();
                tracing::error!(records = waiting, seconds, "nothing moves any more; the rest counts as missing");
                break;
            }
            watch.look(self)?;
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// Starts the generator on a thread of its own; items by signal that it produced.
    fn load(
        &self,
        mut generator: Generator,
        pace: load::Pace,
        stop: Arc<AtomicBool>,
    ) -> anyhow::Result<JoinHandle<anyhow::Result<load::Sent>>> {
        let producer = LoadProducer::open(&connection::brokers(&self.topology, true))?;
        let (judge, outstanding) = (self.judge.clone(), Arc::clone(&self.outstanding));
        let run = move || {
            let mut sent: load::Sent = TOPICS.iter().map(|(signal, _)| (*signal, 0)).collect();
            load::run(&mut generator, &pace, &stop, |record: Record| {
                let Some(partition) = outstanding.room(&record, &stop) else { return Ok(()) };
                judge.made(|made| made.add(&record.truth));
                *sent.entry(record.signal).or_default() += u64::from(record.items);
                producer.send(&output(record, partition))?;
                Ok(())
            })?;
            producer.flush(FLUSH)?;
            let failed = producer.failed();
            anyhow::ensure!(failed == 0, "the embedded Kafka did not take {failed} records");
            Ok(sent)
        };
        std::thread::Builder::new().name("load".into()).spawn(run).context("could not start a thread for the load")
    }
}

fn output(record: Record, partition: TopicPartition) -> Output {
    let headers = record.headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()));
    Output {
        topic: partition.topic,
        partition: Some(partition.partition),
        key: Some(record.key),
        headers: headers.collect(),
        value: Some(record.value),
    }
}

/// Dead letters by the topic they are from.
fn dead_letters(topology: &Topology) -> anyhow::Result<BTreeMap<String, u64>> {
    let admin = Admin::open(&connection::brokers(topology, true), "weir-up")?;
    let mut letters = BTreeMap::new();
    for name in [DEAD_LETTERS, LOGS_DEAD_LETTERS] {
        let partitions = topology.topics.get(name).map_or(0, |topic| topic.partitions);
        for partition in 0..i32::try_from(partitions)? {
            admin.scan(&TopicPartition::new(name, partition), 0, &mut |record| {
                for (_, topic) in record.headers.filter(|(name, _)| *name == "weir.dlq.topic") {
                    *letters.entry(String::from_utf8_lossy(topic).into_owned()).or_default() += 1;
                }
                true
            })?;
        }
    }
    Ok(letters)
}

/// Looks at the workers now and then, and shows them.
struct Watch {
    display: Display,
    shown: Instant,
    before: BTreeMap<String, (u64, u64)>,
}

impl Watch {
    fn new() -> Self {
        Self { display: Display::new(), shown: Instant::now(), before: BTreeMap::new() }
    }

    fn look(&mut self, up: &Up) -> anyhow::Result<()> {
        up.outstanding.committed(&up.fleet);
        if self.shown.elapsed() >= self.display.interval() {
            self.last(up)?;
        }
        Ok(())
    }

    fn last(&mut self, up: &Up) -> anyhow::Result<()> {
        let elapsed = self.shown.elapsed().as_secs_f64().max(0.001);
        self.shown = Instant::now();
        let mut rows = Vec::new();
        for running in up.fleet.running() {
            let totals = running.instruments.totals();
            let before = self.before.insert(running.name.clone(), (totals.records, totals.bytes)).unwrap_or_default();
            let rate = |now: u64, before: u64| precise(now.saturating_sub(before)) / elapsed;
            rows.push(Row {
                worker: running.name.clone(),
                records_per_second: rate(totals.records, before.0),
                bytes_per_second: rate(totals.bytes, before.1),
                lag_records: up.outstanding.records_of(|topic| {
                    up.topology
                        .workers
                        .get(&running.name)
                        .is_some_and(|worker| worker.topics.iter().any(|of| of == topic))
                }),
                delivered: totals.delivered,
                dead_letters: totals.dead_letters,
                under_way_bytes: up.fleet.under_way_bytes() as u64,
            });
        }
        self.display.show(up.started.elapsed(), &rows).context("could not write to standard error")
    }
}

#[expect(clippy::cast_precision_loss, reason = "for show")]
fn precise(count: u64) -> f64 {
    count as f64
}
