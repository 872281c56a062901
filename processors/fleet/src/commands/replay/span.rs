//! What a replay takes of each partition, found before it begins.

use std::time::{Duration, UNIX_EPOCH};

use weir_contract::TopicPartition;
use weir_kafka::Isolation;
use weir_kafka::real::Admin;

use super::bound::Bound;
use crate::cluster::Cluster;
use crate::topology::Worker;

/// A partition's share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The partition.
    pub id: TopicPartition,
    /// The first offset.
    pub from: i64,
    /// The offset after the last one.
    pub to: i64,
    /// The offset after the last record below `to`: what is above it is what no reader sees, markers of transactions
    /// and records of aborted ones, so nothing ever commits an offset above it.
    pub end: i64,
}

/// The shares of a worker's partitions that have any record in them.
///
/// # Errors
/// Kafka does not answer, or every reason why it would not be right.
pub fn find(cluster: &Cluster, worker: &Worker, from: &Bound, to: Option<&Bound>) -> anyhow::Result<Vec<Span>> {
    match (from, to) {
        (Bound::Time(from), Some(Bound::Time(to))) if to <= from => anyhow::bail!("--to is not after --from"),
        (Bound::Offset(from), Some(Bound::Offset(to))) if to <= from => {
            anyhow::bail!("--to {to} is not above --from {from}")
        }
        _ => {}
    }
    let ids = cluster.partitions(worker)?;
    let mut refused = unknown(&ids, [Some(from), to].into_iter().flatten());
    let mut spans = Vec::new();
    for id in ids {
        match share(&cluster.admin, &id, from, to)? {
            Share::Of(span) => spans.push(span),
            Share::Nothing => {}
            Share::Refused(why) => refused.push(why),
        }
    }
    anyhow::ensure!(refused.is_empty(), "{}", refused.join("; "));
    Ok(spans)
}

/// Partitions that are named and are not the worker's.
fn unknown<'b>(ids: &[TopicPartition], bounds: impl Iterator<Item = &'b Bound>) -> Vec<String> {
    let named = bounds.filter_map(|bound| match bound {
        Bound::Offsets(offsets) => Some(offsets.keys()),
        _ => None,
    });
    named.flatten().filter(|id| !ids.contains(id)).map(|id| format!("the worker reads no {id}")).collect()
}

enum Share {
    Of(Span),
    Nothing,
    Refused(String),
}

fn share(admin: &Admin, id: &TopicPartition, from: &Bound, to: Option<&Bound>) -> anyhow::Result<Share> {
    let (low, end) = admin.bounds(id, Isolation::Committed)?;
    let left = || {
        let since = admin.timestamp_at(id, low)?.map_or_else(String::new, |ms| format!(" of {}", shown(ms)));
        anyhow::Ok(format!("what is left of {id} begins at offset {low}{since}: take part from there with --from"))
    };
    let start = match from {
        Bound::Offsets(offsets) => match offsets.get(id) {
            Some(offset) => *offset,
            None => return Ok(Share::Nothing),
        },
        Bound::Offset(offset) => *offset,
        // Where the oldest record that is left is newer, retention may have removed some of that time.
        Bound::Time(ms) if low > 0 && admin.timestamp_at(id, low)?.is_some_and(|oldest| oldest > *ms) => {
            return Ok(Share::Refused(format!("retention has passed {} by: {}", shown(*ms), left()?)));
        }
        Bound::Time(ms) => admin.offset_at(id, *ms)?,
    };
    if start < low {
        return Ok(Share::Refused(format!("retention has passed offset {start} by: {}", left()?)));
    }
    let to = match to {
        None => end,
        Some(Bound::Offset(offset)) => *offset,
        Some(Bound::Offsets(offsets)) => match (offsets.get(id), from) {
            (Some(to), Bound::Offsets(_)) if *to <= start => {
                return Ok(Share::Refused(format!("--to {to} of {id} is not above --from {start}")));
            }
            (to, _) => to.copied().unwrap_or(end),
        },
        Some(Bound::Time(ms)) => admin.offset_at(id, *ms)?,
    };
    let to = to.min(end);
    Ok(match last_record(admin, id, start, to)? {
        Some(last) => Share::Of(Span { id: id.clone(), from: start, to, end: last + 1 }),
        None => Share::Nothing,
    })
}

/// The offset of the last committed record in that part, if it has any: looked for from its end on, in steps that grow.
fn last_record(admin: &Admin, id: &TopicPartition, from: i64, to: i64) -> anyhow::Result<Option<i64>> {
    let (mut last, mut step) = (None, 1);
    let mut start = to;
    while last.is_none() && start > from {
        start = from.max(to.saturating_sub(step));
        admin.scan(id, start, &mut |record| {
            let within = record.offset < to;
            if within {
                last = Some(record.offset);
            }
            within
        })?;
        step = step.saturating_mul(8);
    }
    Ok(last)
}

/// A time, in milliseconds since the epoch, for people.
fn shown(ms: i64) -> String {
    let time = UNIX_EPOCH + Duration::from_millis(u64::try_from(ms).unwrap_or(0));
    humantime::format_rfc3339_millis(time).to_string()
}
