//! What a replay takes of each partition, found before it begins.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use weir_contract::TopicPartition;
use weir_kafka::Isolation;
use weir_kafka::real::{Admin, Setting};

use super::bound::Bound;
use crate::cluster::Cluster;
use crate::commands::run::runtime;
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
        Bound::Time(ms) if low > 0 && may_lack(admin, id, low, *ms)? => {
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

/// Whether retention may have removed records of that time or later from a partition, of which it has removed some.
fn may_lack(admin: &Admin, id: &TopicPartition, low: i64, since_ms: i64) -> anyhow::Result<bool> {
    if admin.timestamp_at(id, low)?.is_some_and(|oldest| oldest <= since_ms) {
        return Ok(false);
    }
    // A quiet partition's oldest record is newer although nothing is missing. Where the settings may not be seen,
    // nothing says so.
    let settings = runtime()?.block_on(admin.settings(&[&id.topic])).unwrap_or_default();
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let kept_since = settings.first().and_then(|settings| kept_since(settings, i64::try_from(now_ms).ok()?));
    Ok(kept_since.is_none_or(|kept_since| since_ms < kept_since))
}

/// From which time on a topic with these settings has every record, in milliseconds since the epoch: a segment goes once
/// its newest record is older than `retention.ms`. None, where records go for other reasons too.
fn kept_since(settings: &BTreeMap<String, Setting>, now_ms: i64) -> Option<i64> {
    let is = |name: &str, value: &str| settings.get(name).is_some_and(|setting| setting.value == value);
    let retention_ms: i64 = settings.get("retention.ms")?.value.parse().ok()?;
    // With -1 nothing goes by time; but something has gone.
    let by_time_alone = is("cleanup.policy", "delete") && is("retention.bytes", "-1") && retention_ms >= 0;
    by_time_alone.then(|| now_ms.saturating_sub(retention_ms))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_has_every_record_of_its_retention_unless_something_else_removes_them() {
        let since = |changed: &[(&str, &str)]| {
            let own = [("cleanup.policy", "delete"), ("retention.bytes", "-1"), ("retention.ms", "600000")];
            let setting =
                |(name, value): &(&str, &str)| ((*name).to_owned(), Setting { value: (*value).to_owned(), own: false });
            kept_since(&own.iter().chain(changed).map(setting).collect(), 1_000_000)
        };
        assert_eq!(since(&[]), Some(400_000));
        for other in [
            ("cleanup.policy", "compact,delete"),
            ("retention.bytes", "1000"),
            ("retention.ms", "-1"),
            ("retention.ms", "soon"),
        ] {
            assert_eq!(since(&[other]), None, "{other:?}");
        }
        assert_eq!(kept_since(&BTreeMap::new(), 1_000_000), None);
    }
}
