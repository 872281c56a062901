//! `weir skip`: passes over one record that a worker cannot get past.

use anyhow::{Context, bail, ensure};
use weir_contract::TopicPartition;
use weir_kafka::{Isolation, Mark, Offset};

use super::terminal::{agreed, asks};
use crate::cli::{Answer, Common};
use crate::cluster::Cluster;
use crate::topology;

/// Records of one partition that may wait to be skipped: what they take has room in an offset's metadata.
const SKIPS: usize = 100;

/// Flags of `weir skip`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  weir skip metrics 'telemetry-metrics[3]' 104211\n  \
    weir skip metrics 'telemetry-metrics[3]' 104211 --yes\n\n\
    For a record that takes its worker's process down again and again. The worker must be stopped; when it starts \
    again, it puts the record into the dead letters unread (reason `skipped`) when it comes to it.\n\n\
    Exit codes: 0 noted, 1 not agreed to, 2 it cannot be skipped, or could not run.")]
pub struct Args {
    /// The worker, by its name in the topology.
    pub worker: String,
    /// The record's partition, as TOPIC[NUMBER].
    #[arg(value_name = "PARTITION", value_parser = partition)]
    pub partition: TopicPartition,
    /// The record's offset.
    pub offset: i64,
    /// Go ahead without asking; required where there is no terminal.
    #[arg(long)]
    pub yes: bool,
}

/// Reads a partition as it is written everywhere: `topic[3]`.
pub(crate) fn partition(text: &str) -> Result<TopicPartition, String> {
    let parts = text.strip_suffix(']').and_then(|text| text.rsplit_once('['));
    let read = parts.and_then(|(topic, number)| Some(TopicPartition::new(topic, number.parse::<u16>().ok()?.into())));
    read.filter(|id| !id.topic.is_empty()).ok_or_else(|| "write it as TOPIC[NUMBER], such as logs[0]".to_owned())
}

/// Notes beside the group's offset that a record is to be passed over.
///
/// # Errors
/// There is no such record ahead of the worker, the worker runs, or Kafka does not answer.
pub fn run(args: &Args, common: &Common) -> anyhow::Result<Answer> {
    let asks = asks(args.yes, "lag", "skip")?;
    let (topology, _) = topology::load(common.topology.as_deref())?;
    let (name, worker) = (&args.worker, topology.worker(&args.worker)?);
    let (id, offset) = (&args.partition, args.offset);
    let cluster = Cluster::reach(&topology, &worker.group)?;
    let known = cluster.topics.get(&*id.topic).is_some_and(|topic| (0..topic.partitions).contains(&id.partition));
    ensure!(known, "the cluster has no partition {id}");
    let now = cluster.committed(&worker.group, std::slice::from_ref(id))?.into_iter().next().flatten();
    let now = now.with_context(|| format!("group {} has committed nothing of {id} yet", worker.group))?;
    let mut mark = Mark::read(&now.metadata)
        .map_err(|_| anyhow::anyhow!("the offset of {id} was committed by a later version of Weir: use that one"))?;

    ensure!(offset >= now.offset, "offset {offset} of {id} is done already: the group is at {}", now.offset);
    there(&cluster, id, offset)?;
    mark.skip.insert(offset);
    ensure!(mark.skip.len() <= SKIPS, "{SKIPS} records of {id} wait to be skipped already: let the worker reach them");
    super::remark(&format!("worker {name} will put offset {offset} of {id} into the dead letters, unread"));
    if asks && !agreed()? {
        super::remark("nothing was changed");
        return Ok(Answer::No);
    }
    let marked = Offset { partition: id.clone(), offset: now.offset, metadata: mark.write(now.offset) };
    cluster.admin.commit(&worker.group, std::slice::from_ref(&marked)).with_context(|| {
        format!("could not note it beside the offset of group {}; stop its workers first, if they run", worker.group)
    })?;
    super::print(&format!("noted: start worker {name} again\n"))?;
    Ok(Answer::Yes)
}

/// That there is a record at the offset.
fn there(cluster: &Cluster, id: &TopicPartition, offset: i64) -> anyhow::Result<()> {
    let (first, _) = cluster.admin.bounds(id, Isolation::Committed)?;
    let mut found = None;
    cluster.admin.scan(id, offset.max(first), &mut |record| {
        found = Some(record.offset);
        false
    })?;
    match found {
        Some(found) if found == offset => Ok(()),
        Some(next) => bail!("there is no record at offset {offset} of {id}; the next one is at {next}"),
        None => bail!("there is no record at offset {offset} of {id}, nor after it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_reads_as_it_is_written() {
        let id = TopicPartition::new("telemetry-metrics", 3);
        assert_eq!(partition(&id.to_string()), Ok(id));
        for wrong in ["", "logs", "logs[]", "[3]", "logs[-1]", "logs[3", "logs[x]"] {
            assert!(partition(wrong).is_err(), "{wrong}");
        }
    }
}
