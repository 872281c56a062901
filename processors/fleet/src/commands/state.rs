//! `weir state`: what a worker has remembered, and dropping it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::runtime::Runtime;
use weir_contract::TopicPartition;
use weir_kafka::real::Kafka;
use weir_kafka::{Class, Client, ClientError, Committed, Identity, Kept, OpenError, Rebalance, is_apart, reset};

use super::terminal::{agreed, asks, bytes};
use crate::cli::{Answer, Common};
use crate::cluster::{Cluster, retried};
use crate::connection::{self, Connection};
use crate::topology::{self, Topology, Worker};

/// How many keys are shown at most.
const SHOWN_MAX: usize = 10_000;
/// How long the group may take to give its partitions, and Kafka to end what a worker has begun.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a poll waits for the group.
const POLL: Duration = Duration::from_millis(100);

/// Flags of `weir state`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  weir state size spans\n  weir state show spans --partition 3 --key checkout\n  \
    weir state reset spans --partition 3")]
pub struct Args {
    /// Look or do.
    #[command(subcommand)]
    pub command: Command,
}

/// Look or do.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Shows whether a worker's state belongs to its offsets, and the keys of it.
    Show(ShowArgs),
    /// Shows how large a worker's state is.
    Size(SizeArgs),
    /// Drops a worker's state, whose offsets stay as they are.
    Reset(ResetArgs),
}

/// Flags of `weir state show`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  weir state show spans\n  weir state show spans --partition 3 --key checkout --payload\n\n\
    state: equal, where it is that of the committed offset; apart, where it is not, and the partition refuses to open.\n\n\
    Exit codes: 0 shown, 1 some state is apart, 2 could not run."
)]
pub struct ShowArgs {
    /// A worker of the topology.
    #[arg(value_name = "WORKER")]
    pub worker: String,
    /// Only these source partitions.
    #[arg(long, value_name = "N")]
    pub partition: Vec<i32>,
    /// Only keys that begin so, as they are shown.
    #[arg(long, value_name = "PREFIX", default_value = "")]
    pub key: String,
    /// Show values: as text where they are UTF-8, else as hexadecimal digits.
    #[arg(long)]
    pub payload: bool,
}

/// Flags of `weir state size`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  weir state size spans\n\n\
    keys, bytes: of the state as it is.\n\
    records: that are read when the partition opens; beside one for each key and the position, they are what \
    compaction will remove.\n\n\
    Exit codes: 0 shown, 2 could not run.")]
pub struct SizeArgs {
    /// A worker of the topology.
    #[arg(value_name = "WORKER")]
    pub worker: String,
}

/// Flags of `weir state reset`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  weir state reset spans\n  weir state reset spans --partition 3 --partition 4 --yes\n\n\
    The worker begins with an empty state at the offset that is committed. Its processes have to be stopped.\n\n\
    Exit codes: 0 dropped, 1 not agreed to, 2 refused, or could not run."
)]
pub struct ResetArgs {
    /// A worker of the topology.
    #[arg(value_name = "WORKER")]
    pub worker: String,
    /// Only these source partitions.
    #[arg(long, value_name = "N")]
    pub partition: Vec<i32>,
    /// Go ahead without asking; required where there is no terminal.
    #[arg(long)]
    pub yes: bool,
}

/// A worker that keeps state, on a cluster that has answered.
pub struct Stateful<'c> {
    cluster: &'c Cluster,
    identity: &'c Identity,
    changelog: std::sync::Arc<str>,
    sources: Vec<TopicPartition>,
}

/// What is kept for a source partition, beside its offset.
struct Standing {
    source: TopicPartition,
    committed: Option<Committed>,
    kept: Kept,
}

/// Shows or drops a worker's state.
///
/// # Errors
/// There is no such worker, it keeps no state, it still runs, or Kafka does not answer.
pub fn run(args: &Args, common: &Common) -> anyhow::Result<Answer> {
    let (topology, _) = topology::load(common.topology.as_deref())?;
    let name = match &args.command {
        Command::Show(args) => &args.worker,
        Command::Size(args) => &args.worker,
        Command::Reset(args) => &args.worker,
    };
    let worker = topology.worker(name)?;
    let identity = connection::identity(&topology, name, worker);
    let changelog = changelog(&identity)?;
    if let Command::Reset(args) = &args.command {
        asks(args.yes, &format!("state show {name}"), &format!("state reset {name}"))?;
    }
    let cluster = Cluster::reach(&topology, &worker.group)?;
    let stateful = Stateful::new(&cluster, &identity, changelog, worker)?;
    match &args.command {
        Command::Show(args) => {
            let (shown, answer) = stateful.show(args)?;
            super::print(&shown)?;
            Ok(answer)
        }
        Command::Size(_) => {
            super::print(&stateful.size()?)?;
            Ok(Answer::Yes)
        }
        Command::Reset(args) => stateful.reset(args, &topology, worker),
    }
}

/// The changelog of a worker.
///
/// # Errors
/// It keeps no state.
pub fn changelog(identity: &Identity) -> anyhow::Result<std::sync::Arc<str>> {
    identity.state_topic.clone().with_context(|| format!("worker {} keeps no state", identity.worker))
}

impl<'c> Stateful<'c> {
    /// The worker of that identity, and the partitions that it reads.
    ///
    /// # Errors
    /// The cluster lacks its changelog, a topic that it reads, or a partition of the changelog.
    pub fn new(
        cluster: &'c Cluster,
        identity: &'c Identity,
        changelog: std::sync::Arc<str>,
        worker: &Worker,
    ) -> anyhow::Result<Self> {
        let sources = cluster.partitions(worker)?;
        let topic = cluster.topics.get(&*changelog);
        let topic = topic.with_context(|| format!("the cluster has no topic {changelog}: no state was kept yet"))?;
        if let Some(beyond) = sources.iter().find(|source| source.partition >= topic.partitions) {
            anyhow::bail!("{changelog} has {} partitions, and so none for {beyond}", topic.partitions);
        }
        Ok(Self { cluster, identity, changelog, sources })
    }

    /// Whether the state belongs to the offsets, and its keys.
    ///
    /// # Errors
    /// Kafka does not answer, or there is no such partition.
    pub fn show(&self, args: &ShowArgs) -> anyhow::Result<(String, Answer)> {
        let standings = self.look(&args.partition)?;
        let mut positions = super::table(["partition", "position", "committed", "state"]);
        let mut keys = super::table(["partition", "key", "bytes", "value"]);
        let (mut rows, mut hidden) = (0, 0);
        for standing in &standings {
            let offset = |offset: Option<i64>| offset.map_or_else(|| "-".to_owned(), |offset| offset.to_string());
            let committed = standing.committed.as_ref().map(|committed| committed.offset);
            let source = standing.source.to_string();
            positions.add_row([source.clone(), offset(standing.kept.position), offset(committed), standing.say()]);
            for (key, value) in &standing.kept.entries {
                let key = bytes(key);
                if !key.starts_with(&args.key) {
                    continue;
                }
                if rows == SHOWN_MAX {
                    hidden += 1;
                    continue;
                }
                rows += 1;
                let shown = if args.payload { bytes(value) } else { "-".to_owned() };
                keys.add_row([source.clone(), key, value.len().to_string(), shown]);
            }
        }
        let mut text = super::lines(&positions);
        if rows > 0 {
            text += &format!("\n{}", super::lines(&keys));
        }
        if hidden > 0 {
            text += &format!("and {hidden} more keys: narrow it down with --partition and --key\n");
        }
        let apart = standings.iter().any(Standing::is_apart);
        Ok((text, if apart { Answer::No } else { Answer::Yes }))
    }

    /// How large the state is.
    ///
    /// # Errors
    /// Kafka does not answer.
    pub fn size(&self) -> anyhow::Result<String> {
        let mut table = super::table(["partition", "keys", "bytes", "records"]);
        for standing in self.look(&[])? {
            let (keys, bytes) = standing.size();
            let records = standing.kept.records.to_string();
            table.add_row([standing.source.to_string(), keys.to_string(), bytes.to_string(), records]);
        }
        Ok(super::lines(&table))
    }

    /// Drops the state, once it is agreed to.
    ///
    /// # Errors
    /// The worker still runs, or Kafka does not answer.
    pub fn reset(&self, args: &ResetArgs, topology: &Topology, worker: &Worker) -> anyhow::Result<Answer> {
        self.refuse_members()?;
        let standings = self.look(&args.partition)?;
        for standing in &standings {
            let (keys, bytes) = standing.size();
            super::print(&format!("{}: {keys} keys, {bytes} bytes, state {}\n", standing.source, standing.say()))?;
        }
        if !args.yes && !agreed()? {
            super::remark("nothing was dropped");
            return Ok(Answer::No);
        }
        // It may have been started while the question stood.
        self.refuse_members()?;
        let client = Connection::beside(topology, worker, connection::RESET).connect()?;
        let dropped = self.drop_state(&client, &standings);
        client.close();
        dropped.map(|()| Answer::Yes)
    }

    /// A member of the group is the only one that Kafka lets commit its offsets, and only while the group stays as it is:
    /// as such a member it drops the state of partitions that it was given.
    fn drop_state(&self, client: &Kafka, standings: &[Standing]) -> anyhow::Result<()> {
        let runtime = super::run::runtime()?;
        let initialised = || runtime.block_on(client.init_transactions()).map_err(OpenError::from);
        retried(Instant::now() + PATIENCE, passes, initialised)?;
        let mut mine = BTreeSet::new();
        for Standing { source, .. } in standings {
            let until = Instant::now() + PATIENCE;
            // At least once for each: a member that does not poll is put out.
            loop {
                turn(&runtime, client, &mut mine)?;
                if mine.contains(source) {
                    break;
                }
                let group = &self.identity.group;
                anyhow::ensure!(Instant::now() < until, "group {group} does not give its partitions: stop its workers");
            }
            let dropped = retried(until, passes, || runtime.block_on(reset(client, source, &self.changelog)));
            let keys = dropped.with_context(|| format!("the state of {source} was not dropped"))?;
            super::print(&format!("{source}: {keys} keys dropped\n"))?;
        }
        Ok(())
    }

    /// What is kept for the chosen partitions, or for all.
    fn look(&self, chosen: &[i32]) -> anyhow::Result<Vec<Standing>> {
        if let Some(wrong) = chosen.iter().find(|number| self.sources.iter().all(|id| id.partition != **number)) {
            anyhow::bail!("worker {} reads no partition {wrong}", self.identity.worker);
        }
        let sources: Vec<_> =
            self.sources.iter().filter(|id| chosen.is_empty() || chosen.contains(&id.partition)).cloned().collect();
        let committed = self.cluster.committed(&self.identity.group, &sources)?;
        let look = |(source, committed): (TopicPartition, Option<Committed>)| {
            let mut kept = Kept::default();
            let changelog = TopicPartition::new(self.changelog.clone(), source.partition);
            self.cluster.admin.scan(&changelog, 0, &mut |record| {
                kept.take(&source.topic, &record);
                true
            })?;
            Ok(Standing { source, committed, kept })
        };
        sources.into_iter().zip(committed).map(look).collect()
    }

    /// Workers that run would go on with what they have in memory.
    fn refuse_members(&self) -> anyhow::Result<()> {
        let group = &self.identity.group;
        match self.cluster.admin.members(group)? {
            0 => Ok(()),
            members => {
                let members = if members == 1 { "1 member".to_owned() } else { format!("{members} members") };
                anyhow::bail!(
                    "worker {} still runs: stop the workers: group {group} has {members}",
                    self.identity.worker
                )
            }
        }
    }
}

impl Standing {
    fn is_apart(&self) -> bool {
        is_apart(self.committed.as_ref(), self.kept.position)
    }

    fn say(&self) -> String {
        let said = match self.kept.position {
            _ if self.is_apart() => "apart: the partition refuses to open",
            None => "none",
            Some(_) => "equal",
        };
        said.to_owned()
    }

    /// Keys, and bytes of keys and values.
    fn size(&self) -> (usize, usize) {
        let entries = &self.kept.entries;
        (entries.len(), entries.iter().map(|(key, value)| key.len() + value.len()).sum())
    }
}

/// Answers what the group does: which partitions are this member's.
fn turn(runtime: &Runtime, client: &Kafka, mine: &mut BTreeSet<TopicPartition>) -> Result<(), ClientError> {
    match runtime.block_on(client.poll(POLL, &mut |_| true))? {
        Some(Rebalance::Assigned(given)) => {
            client.assign(&[])?;
            mine.extend(given);
        }
        Some(Rebalance::Revoked(gone) | Rebalance::Lost(gone)) => {
            client.unassign(&gone)?;
            mine.retain(|id| !gone.contains(id));
        }
        None => {}
    }
    Ok(())
}

/// Whether the same call may be made again.
fn passes(error: &OpenError) -> bool {
    match error {
        OpenError::Client(error) => error.class == Class::Retriable,
        error => error.is_passing(),
    }
}
