//! `weir lag`: how far each worker is behind, and what holds it.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::json;
use weir_contract::TopicPartition;
use weir_kafka::Isolation;

use crate::cli::{Answer, Common};
use crate::cluster::Cluster;
use crate::topology::{self, Start, Topology, Worker};
use status::Held;

mod status;

/// Flags of `weir lag`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  weir lag\n  weir lag metrics --json\n  weir lag --max-records 10000\n\n\
    lag: records from the committed offset to the end, as readers of committed records see it. An offset that a \
    transaction's marker takes counts until the worker has passed it, unless no record is left at all.\n\
    freshness: the age of the first record that is not done.\n\
    held by: what that record waits for, as the worker's admin server says; - where none answers.\n\n\
    Exit codes: 0, or 1 if a partition lags more than --max-records; 2 could not run.")]
pub struct Args {
    /// Workers of the topology, by name [default: all].
    #[arg(value_name = "WORKER")]
    pub workers: Vec<String>,
    /// Write one JSON object instead: `workers`, by name.
    #[arg(long)]
    pub json: bool,
    /// The answer is no if a partition lags by more records than that.
    #[arg(long, value_name = "N")]
    pub max_records: Option<u64>,
    /// Where the workers' admin server answers [default: http://ADDRESS with process.admin of the topology].
    #[arg(long, value_name = "URL")]
    pub admin: Option<String>,
}

/// How far a worker is behind.
#[derive(Debug, Serialize)]
struct Behind {
    group: String,
    lag_records: i64,
    /// Why its last commit failed, or what the outside said last.
    problem: Option<String>,
    partitions: Vec<Partition>,
}

/// How far a worker is behind in a partition.
#[derive(Debug, Serialize)]
struct Partition {
    topic: String,
    partition: i32,
    /// The first offset that is not done; none where the group has not begun.
    committed: Option<i64>,
    /// After the last committed record.
    end: i64,
    lag_records: i64,
    freshness_seconds: f64,
    /// What retention removed before the group read it.
    lost_records: i64,
    held: Option<Held>,
}

/// Says how far the workers are behind.
///
/// # Errors
/// Kafka does not answer, or a worker or its topic is not there.
pub fn run(args: &Args, common: &Common) -> anyhow::Result<Answer> {
    let (topology, _) = topology::load(common.topology.as_deref())?;
    let workers = chosen(&topology, &args.workers)?;
    let url = args.admin.clone().unwrap_or_else(|| format!("http://{}", topology.process.admin));
    let mut behind = BTreeMap::new();
    for (name, worker) in workers {
        behind.insert(name, look(&topology, worker)?);
    }
    match status::ask(&url) {
        Ok(held) => {
            for (name, worker) in &mut behind {
                worker.problem = held.problem(name);
                for partition in &mut worker.partitions {
                    partition.held = held.of(name, &partition.id());
                }
            }
        }
        Err(error) => {
            let error = crate::chain(error.as_ref());
            super::remark(&format!("what holds the workers is not known, for no admin server answers: {error}"));
        }
    }
    if args.json {
        super::print(&format!("{:#}\n", json!({"workers": behind})))?;
    } else {
        super::print(&table(&behind))?;
    }
    let most = behind.values().flat_map(|worker| &worker.partitions).map(|partition| partition.lag_records).max();
    let most = u64::try_from(most.unwrap_or(0)).unwrap_or(0);
    Ok(if args.max_records.is_some_and(|max| most > max) { Answer::No } else { Answer::Yes })
}

/// The named workers; all of them where none is named.
fn chosen<'t>(topology: &'t Topology, names: &'t [String]) -> anyhow::Result<Vec<(&'t str, &'t Worker)>> {
    if names.is_empty() {
        return Ok(topology.workers.iter().map(|(name, worker)| (name.as_str(), worker)).collect());
    }
    names.iter().map(|name| topology.worker(name).map(|worker| (name.as_str(), worker))).collect()
}

fn look(topology: &Topology, worker: &Worker) -> anyhow::Result<Behind> {
    let cluster = Cluster::reach(topology, &worker.group)?;
    let ids = cluster.partitions(worker)?;
    let committed = cluster.committed(&worker.group, &ids)?;
    let mut partitions = Vec::new();
    for (id, committed) in ids.iter().zip(committed) {
        partitions.push(measure(&cluster, worker.start, id, committed.map(|committed| committed.offset))?);
    }
    let lag_records = partitions.iter().map(|partition| partition.lag_records).sum();
    Ok(Behind { group: worker.group.clone(), lag_records, problem: None, partitions })
}

fn measure(cluster: &Cluster, start: Start, id: &TopicPartition, committed: Option<i64>) -> anyhow::Result<Partition> {
    let (first, end) = cluster.admin.bounds(id, Isolation::Committed)?;
    let from = match (committed, start) {
        (Some(committed), _) => committed.max(first),
        (None, Start::Latest) => end,
        // From a time on there may be fewer; nothing is said to be done that is not.
        (None, Start::Earliest | Start::At(_)) => first,
    };
    // Without a record there, only markers of transactions are left.
    let oldest = if from < end { cluster.admin.timestamp_at(id, from)? } else { None };
    Ok(Partition {
        topic: id.topic.to_string(),
        partition: id.partition,
        committed,
        end,
        lag_records: if oldest.is_some() { end - from } else { 0 },
        freshness_seconds: oldest.map_or(0.0, seconds_since),
        lost_records: committed.map_or(0, |committed| (first - committed).max(0)),
        held: None,
    })
}

/// Seconds from a time, in milliseconds since the epoch, until now.
fn seconds_since(ms: i64) -> f64 {
    let then = UNIX_EPOCH + Duration::from_millis(u64::try_from(ms).unwrap_or(0));
    SystemTime::now().duration_since(then).unwrap_or_default().as_secs_f64()
}

impl Partition {
    fn id(&self) -> String {
        TopicPartition::new(self.topic.as_str(), self.partition).to_string()
    }

    fn held_by(&self) -> String {
        let mut texts = Vec::new();
        if self.lost_records > 0 {
            texts.push(format!("retention removed {} records before they were read", self.lost_records));
        }
        if let Some(Held { by, since_ms }) = &self.held {
            let since = since_ms.map_or_else(String::new, |ms| format!(" for {}", shown(seconds_since(ms))));
            texts.push(format!("{by}{since}"));
        }
        if texts.is_empty() { "-".to_owned() } else { texts.join("; ") }
    }
}

/// Seconds for people.
fn shown(seconds: f64) -> String {
    let whole = Duration::try_from_secs_f64(seconds.floor()).unwrap_or_default();
    humantime::format_duration(whole).to_string()
}

fn table(behind: &BTreeMap<&str, Behind>) -> String {
    let mut table = super::table(["worker", "partition", "committed", "end", "lag", "freshness", "held by"]);
    for (name, worker) in behind {
        for partition in &worker.partitions {
            table.add_row([
                (*name).to_owned(),
                partition.id(),
                partition.committed.map_or_else(|| "-".to_owned(), |offset| offset.to_string()),
                partition.end.to_string(),
                partition.lag_records.to_string(),
                shown(partition.freshness_seconds),
                partition.held_by(),
            ]);
        }
    }
    let problems = behind.iter().filter_map(|(name, worker)| Some(format!("{name}: {}\n", worker.problem.as_ref()?)));
    super::lines(&table) + &problems.collect::<String>()
}
