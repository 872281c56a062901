//! `weir replay`: a worker over a part of its topics once more, beside the live group.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::{Duration, Instant};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use tokio::sync::watch;
use weir_contract::TopicPartition;
use weir_kafka::{Isolation, Offset};
use weir_runtime::{Status, Totals};

use super::run::runtime;
use crate::cli::{Answer, Common};
use crate::cluster::Cluster;
use crate::fleet::Fleet;
use crate::topology::{self, Topology};
use crate::{connection, registry, signals};
use bound::Bound;
use span::Span;

mod bound;
mod span;

/// How often the workers are looked at.
const LOOK: Duration = Duration::from_millis(200);
/// How often progress is told where there is no terminal.
const PROGRESS: Duration = Duration::from_secs(5);
/// How long the brokers may take to see that the group has no member any more.
const LEFT: Duration = Duration::from_secs(15);

/// Flags of `weir replay`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  weir replay metrics --from 2h\n  \
    weir replay metrics --from 2026-01-31T12:00:00Z --to 2026-01-31T13:00:00Z\n  \
    weir replay metrics --from 'telemetry-metrics[0]=1500,telemetry-metrics[3]=900' --json\n\n\
    TIME is RFC 3339, or how long ago: 90s, 2h, 1d 12h. It stands for the first record of that time or later.\n\
    OFFSETS is one offset for every partition, or TOPIC[PARTITION]=OFFSET,...; with those, partitions that --from\n\
    does not name take no part, and those that --to does not name go to their end.\n\n\
    It has a consumer group of its own, which is deleted at the end; the live group is left alone.\n\
    Ctrl-C or SIGTERM brings what is under way to its end and says where it stopped.\n\n\
    Exit codes: 0 all of it was replayed, 1 it was stopped before the end, 2 refused, or could not run.")]
pub struct Args {
    /// A worker of the topology, by name.
    #[arg(value_name = "WORKER")]
    pub worker: String,
    /// Where it begins.
    #[arg(long, value_name = "TIME|OFFSETS")]
    pub from: Bound,
    /// Where it ends, itself not part of it [default: the end of each partition as it is now].
    #[arg(long, value_name = "TIME|OFFSETS")]
    pub to: Option<Bound>,
    /// Write one JSON object at the end instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// Replays until the end, or until it is told to stop.
///
/// # Errors
/// It would not be right, Kafka does not answer, or the worker has a defect.
pub fn run(args: &Args, common: &Common) -> anyhow::Result<Answer> {
    let (mut topology, _) = topology::load(common.topology.as_deref())?;
    let name = args.worker.as_str();
    let live = topology.worker(name)?.clone();
    live.kind.replay().map_err(|why| anyhow::anyhow!("worker {name} cannot be replayed: {why}"))?;
    let cluster = Cluster::reach(&topology, &live.group)?;
    let spans = span::find(&cluster, &live, &args.from, args.to.as_ref()).context("not replayed")?;

    let group = connection::replay_group(&live.group, &format!("{:08x}", connection::random() & 0xffff_ffff));
    // A static member would stay in the group until its session is over.
    topology.process.instance_id = None;
    if let Some(worker) = topology.workers.get_mut(name) {
        worker.group.clone_from(&group);
        worker.topics = spans.iter().map(|span| span.id.topic.to_string()).collect();
        worker.topics.dedup();
    }
    let live = live.group.as_str();
    let mut replay =
        Replay { name, live, group, positions: Vec::new(), totals: Totals::default(), started: Instant::now() };
    replay.positions = spans.iter().map(|span| span.from).collect();
    if !spans.is_empty() {
        let ran = replay.run(&cluster, &topology, &spans);
        replay.forget_group(&cluster);
        ran?;
    }
    super::print(&if args.json { replay.json(&spans) } else { replay.table(&spans) })?;
    if replay.is_complete(&spans) {
        return Ok(Answer::Yes);
    }
    super::remark(&format!("stopped before the end; to go on: weir replay {name} {}", replay.rest(&spans)));
    Ok(Answer::No)
}

/// A replay, and how far it is.
struct Replay<'a> {
    name: &'a str,
    /// The live group.
    live: &'a str,
    group: String,
    /// Of each span, the offset that is committed.
    positions: Vec<i64>,
    totals: Totals,
    started: Instant,
}

impl Replay<'_> {
    /// Runs the worker until every span is done, or until it is told to stop; then asks what is committed.
    fn run(&mut self, cluster: &Cluster, topology: &Topology, spans: &[Span]) -> anyhow::Result<()> {
        let begins = |span: &Span| Offset { partition: span.id.clone(), offset: span.from, metadata: String::new() };
        let from: Vec<_> = spans.iter().map(begins).collect();
        cluster.admin.commit(&self.group, &from)?;
        tracing::info!(worker = self.name, group = self.group, partitions = spans.len(), "replaying");
        runtime()?.block_on(async {
            let stop = signals::stop()?;
            let ends = spans.iter().map(|span| (span.id.clone(), span.end)).collect();
            let mut fleet = Fleet::until(topology, ends, self.live);
            let names = [self.name.to_owned()];
            registry::start(&mut fleet, topology, &names, &connection::brokers(topology, false))?;
            let instruments = fleet.running().first().map(|running| running.instruments.clone());
            self.watch(&fleet, spans, stop).await;
            fleet.stop();
            let ended = tokio::task::spawn_blocking(|| fleet.join()).await.context("the worker's thread died")?;
            self.totals = instruments.map(|instruments| instruments.totals()).unwrap_or_default();
            ended
        })?;
        let ids: Vec<_> = spans.iter().map(|span| span.id.clone()).collect();
        let committed = cluster.admin.committed(&self.group, &ids, Isolation::Committed)?;
        for (position, committed) in self.positions.iter_mut().zip(committed) {
            *position = committed.map_or(*position, |committed| committed.offset);
        }
        Ok(())
    }

    /// Shows how far it is until it is done, or has to end.
    async fn watch(&mut self, fleet: &Fleet, spans: &[Span], mut stop: watch::Receiver<bool>) {
        let mut progress = Progress::new(spans.iter().map(|span| span.end - span.from).sum());
        let Some(running) = fleet.running().first() else { return };
        while !self.is_complete(spans) && !fleet.has_ended() {
            self.look(&running.status, spans);
            progress.show(spans.iter().zip(&self.positions).map(|(span, at)| (*at).min(span.end) - span.from).sum());
            if tokio::time::timeout(LOOK, stop.wait_for(|stop| *stop)).await.is_ok() {
                break;
            }
        }
        progress.bar.finish_and_clear();
    }

    fn look(&mut self, status: &Status, spans: &[Span]) {
        let partitions = status.get().partitions;
        for (position, span) in self.positions.iter_mut().zip(spans) {
            // Nothing is committed of a partition that has not been opened yet.
            *position = partitions.get(&span.id.to_string()).map_or(*position, |shown| shown.committed.max(*position));
        }
    }

    fn is_complete(&self, spans: &[Span]) -> bool {
        spans.iter().zip(&self.positions).all(|(span, position)| *position >= span.end)
    }

    /// Deletes the group; the brokers take a moment to see that its member has left.
    fn forget_group(&self, cluster: &Cluster) {
        let until = Instant::now() + LEFT;
        let deleted = runtime().and_then(|runtime| {
            loop {
                match runtime.block_on(cluster.admin.delete_group(&self.group)) {
                    Err(_) if Instant::now() < until => std::thread::sleep(LOOK),
                    deleted => return Ok(deleted?),
                }
            }
        });
        if let Err(error) = deleted {
            let error = crate::chain(error.as_ref());
            super::remark(&format!("the group {} is left, for it could not be deleted: {error}", self.group));
        }
    }

    /// Each span with the offset up to which it is done.
    fn reached<'s>(&self, spans: &'s [Span]) -> impl Iterator<Item = (&'s Span, i64)> {
        let reached = |(span, at): (&'s Span, &i64)| (span, if *at >= span.end { span.to } else { *at });
        spans.iter().zip(&self.positions).map(reached)
    }

    /// The flags that take what is left.
    fn rest(&self, spans: &[Span]) -> String {
        let left: BTreeMap<&TopicPartition, (i64, i64)> = self
            .reached(spans)
            .filter(|(span, at)| *at < span.to)
            .map(|(span, at)| (&span.id, (at, span.to)))
            .collect();
        let list = |offset: fn(&(i64, i64)) -> i64| {
            let parts: Vec<_> = left.iter().map(|(id, range)| format!("{id}={}", offset(range))).collect();
            parts.join(",")
        };
        format!("--from '{}' --to '{}'", list(|range| range.0), list(|range| range.1))
    }

    fn json(&self, spans: &[Span]) -> String {
        let partition = |(span, reached): (&Span, i64)| {
            let Span { id, from, to, .. } = span;
            json!({"topic": &*id.topic, "partition": id.partition, "from": from, "to": to, "reached": reached})
        };
        let summary = json!({
            "worker": self.name,
            "group": self.group,
            "complete": self.is_complete(spans),
            "records": self.totals.records,
            "delivered": self.totals.delivered,
            "dead_letters": self.totals.dead_letters,
            "seconds": self.started.elapsed().as_secs_f64(),
            "partitions": self.reached(spans).map(partition).collect::<Vec<_>>(),
        });
        format!("{summary}\n")
    }

    fn table(&self, spans: &[Span]) -> String {
        let mut table = super::table(["partition", "from", "to", "reached"]);
        for (span, reached) in self.reached(spans) {
            table.add_row([span.id.to_string(), span.from.to_string(), span.to.to_string(), reached.to_string()]);
        }
        let mut text = if spans.is_empty() { String::new() } else { super::lines(&table) };
        let Totals { records, delivered, dead_letters, .. } = self.totals;
        let seconds = self.started.elapsed().as_secs_f64();
        // Writing to a string cannot fail.
        writeln!(text, "{records} records, {delivered} items delivered, {dead_letters} dead letters, {seconds:.1} s")
            .unwrap_or_default();
        text
    }
}

/// How far it is: a bar on a terminal, a line now and then elsewhere.
struct Progress {
    bar: ProgressBar,
    told: Instant,
}

impl Progress {
    fn new(offsets: i64) -> Self {
        let bar = ProgressBar::new(offsets.unsigned_abs());
        let style = "{bar:30} {percent:>3} %, {human_pos} of {human_len} offsets, {per_sec}, {eta} left";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        Self { bar, told: Instant::now() }
    }

    fn show(&mut self, done: i64) {
        self.bar.set_position(done.unsigned_abs());
        if self.bar.is_hidden() && self.told.elapsed() >= PROGRESS {
            self.told = Instant::now();
            let (bar, seconds) = (&self.bar, self.bar.eta().as_secs());
            let (done, all, rate) = (bar.position(), bar.length().unwrap_or(0), bar.per_sec());
            super::remark(&format!("{done} of {all} offsets, {rate:.0}/s, {seconds} s left"));
        }
    }
}
