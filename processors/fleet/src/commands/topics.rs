//! `weir topics`: makes the cluster's topics those of the topology, and never deletes anything.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::json;
use weir_kafka::real::{Admin, NewTopic, Topic};

use super::run::runtime;
use super::terminal::{agreed, asks};
use crate::cli::{Answer, Common};
use crate::cluster::{Cluster, sources};
use crate::topology::{self, Topology, Worker};
use plan::{Seen, Step};

pub(super) use plan::Plan;

mod plan;

/// The group under which topics are looked at; nothing is read.
const GROUP: &str = "weir-topics";
/// How long changes may take to show.
const SETTLE: Duration = Duration::from_secs(30);
/// How often they are looked for.
const LOOK: Duration = Duration::from_millis(100);

/// Flags of `weir topics`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  weir topics plan\n  weir topics apply --yes")]
pub struct Args {
    /// Look or do.
    #[command(subcommand)]
    pub command: Command,
}

/// Look or do.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Shows what `apply` would do to the cluster, and changes nothing.
    Plan(PlanArgs),
    /// Shows the plan, asks, and carries it out: creates and grows topics, alters settings, never deletes.
    Apply(ApplyArgs),
}

/// Flags of `weir topics plan`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  weir topics plan\n  weir topics plan --topology deploy/topology.toml --json\n\n\
    Exit codes: 0 nothing to do, 1 something to do or a problem, 2 could not run.")]
pub struct PlanArgs {
    /// Write one JSON object instead: `brokers`, `steps`, `remarks`, `problems`.
    #[arg(long)]
    pub json: bool,
}

/// Flags of `weir topics apply`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  weir topics apply\n  weir topics apply --yes\n\n\
    Exit codes: 0 the topics are as the topology says, 1 not agreed to, or a problem, 2 a step failed or could not run.")]
pub struct ApplyArgs {
    /// Go ahead without asking; required where there is no terminal.
    #[arg(long)]
    pub yes: bool,
}

/// Compares the topology with the cluster and, for `apply`, changes the cluster.
///
/// # Errors
/// The cluster does not answer, a step failed, or there is nobody to ask.
pub fn run(args: &Args, common: &Common) -> anyhow::Result<Answer> {
    let (topology, _) = topology::load(common.topology.as_deref())?;
    match &args.command {
        Command::Plan(args) => show(args, &topology),
        Command::Apply(args) => apply(args, &topology),
    }
}

fn show(args: &PlanArgs, topology: &Topology) -> anyhow::Result<Answer> {
    let Cluster { admin, topics } = Cluster::reach(topology, GROUP)?;
    let plan = compare(topology, &admin, &topics)?;
    if args.json {
        let (steps, remarks, problems) = (&plan.steps, &plan.remarks, &plan.problems);
        let brokers = topology.kafka.brokers.get_ref();
        let found = json!({"brokers": brokers, "steps": steps, "remarks": remarks, "problems": problems});
        super::print(&format!("{found:#}\n"))?;
    } else {
        super::print(&plan.to_string())?;
    }
    Ok(if plan.steps.is_empty() && plan.problems.is_empty() { Answer::Yes } else { Answer::No })
}

fn apply(args: &ApplyArgs, topology: &Topology) -> anyhow::Result<Answer> {
    let asks = asks(args.yes, "topics plan", "topics apply")?;
    let Cluster { admin, topics } = Cluster::reach(topology, GROUP)?;
    let plan = compare(topology, &admin, &topics)?;
    super::print(&plan.to_string())?;
    if !plan.problems.is_empty() {
        super::remark("nothing was changed: the problems come first");
        return Ok(Answer::No);
    }
    if plan.steps.is_empty() {
        return Ok(Answer::Yes);
    }
    if asks && !agreed()? {
        super::remark("nothing was changed");
        return Ok(Answer::No);
    }
    let runtime = runtime()?;
    for (done, step) in plan.steps.iter().enumerate() {
        let all = plan.steps.len();
        let failed = || format!("{done} of {all} steps were done, then it stopped: could not {}", step.attempt());
        runtime.block_on(carry_out(&admin, step)).with_context(failed)?;
        super::print(&format!("done: {}\n", step.attempt()))?;
    }
    settle(topology, &admin)?;
    Ok(Answer::Yes)
}

/// Brokers learn of changes one after the other: waits until what was done shows, so that whatever comes next finds it.
fn settle(topology: &Topology, admin: &Admin) -> anyhow::Result<()> {
    let until = Instant::now() + SETTLE;
    loop {
        let plan = Cluster::topics(admin).and_then(|topics| compare(topology, admin, &topics));
        match plan {
            Ok(plan) if plan.steps.is_empty() => return Ok(()),
            Ok(plan) if Instant::now() > until => {
                anyhow::bail!("the cluster took every step, and still lacks, after {SETTLE:?}:\n{plan}")
            }
            Err(error) if Instant::now() > until => return Err(error),
            _ => std::thread::sleep(LOOK),
        }
    }
}

/// What the cluster has, beside what it should have.
pub(super) fn compare(topology: &Topology, admin: &Admin, topics: &BTreeMap<String, Topic>) -> anyhow::Result<Plan> {
    let changelogs: Vec<_> = topology.workers.values().filter_map(Worker::state_topic).collect();
    let names = || topics.keys().map(String::as_str);
    let read = topology.workers.values().flat_map(|worker| sources(worker, names()));
    let known = topology.topics.keys().chain(&changelogs).map(String::as_str);
    let mut concerned: Vec<_> = known.chain(read).collect();
    concerned.sort_unstable();
    concerned.dedup();
    concerned.retain(|name| topics.contains_key(*name));
    let settings = if concerned.is_empty() { Vec::new() } else { runtime()?.block_on(admin.settings(&concerned))? };
    let seen: BTreeMap<_, _> = concerned
        .iter()
        .zip(settings)
        .filter_map(|(name, settings)| {
            let topic = topics.get(*name)?;
            let settings = settings.into_iter().map(|(name, setting)| (name, setting.value)).collect();
            Some(((*name).to_owned(), Seen { partitions: topic.partitions, replicas: topic.replication, settings }))
        })
        .collect();
    Ok(Plan::new(topology, &seen))
}

async fn carry_out(admin: &Admin, step: &Step) -> anyhow::Result<()> {
    match step {
        Step::Create { topic, partitions, replication_factor, settings } => {
            let configs = settings.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
            let replication = Some(i32::from(*replication_factor));
            admin.create(&NewTopic { name: topic.clone(), partitions: *partitions, replication, configs }).await?;
        }
        Step::Grow { topic, to, .. } => admin.grow(topic, *to).await?,
        Step::Alter { topic, settings } => {
            let changes = settings.iter().map(|(name, change)| ((*name).to_owned(), change.to.clone())).collect();
            admin.alter(topic, &changes)?;
        }
    }
    Ok(())
}
