//! `--from` and `--to`: a time, or offsets.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use weir_contract::TopicPartition;

/// One end of what is replayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bound {
    /// The first record of that time, in milliseconds since the epoch, or later; of each partition.
    Time(i64),
    /// That offset of every partition.
    Offset(i64),
    /// An offset for each of some partitions.
    Offsets(BTreeMap<TopicPartition, i64>),
}

/// The text is neither a time nor offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a time such as 2026-01-31T12:00:00Z, a time ago such as 2h, an offset for every partition such as 1500, \
     or some, such as telemetry-metrics[0]=1500,telemetry-metrics[1]=900"
)]
pub struct NotABound;

impl FromStr for Bound {
    type Err = NotABound;

    fn from_str(text: &str) -> Result<Self, NotABound> {
        if text.contains('=') {
            let mut offsets = BTreeMap::new();
            for part in text.split(',') {
                let (id, offset) = part.split_once('=').ok_or(NotABound)?;
                if offsets.insert(partition(id)?, number(offset)?).is_some() {
                    return Err(NotABound);
                }
            }
            return Ok(Self::Offsets(offsets));
        }
        if let Ok(offset) = number(text) {
            return Ok(Self::Offset(offset));
        }
        let time = match humantime::parse_duration(text) {
            Ok(ago) => SystemTime::now().checked_sub(ago).ok_or(NotABound)?,
            Err(_) => humantime::parse_rfc3339(text).map_err(|_| NotABound)?,
        };
        let since_epoch = time.duration_since(UNIX_EPOCH).map_err(|_| NotABound)?;
        i64::try_from(since_epoch.as_millis()).map(Self::Time).map_err(|_| NotABound)
    }
}

/// `topic[3]`.
fn partition(text: &str) -> Result<TopicPartition, NotABound> {
    let (topic, rest) = text.trim().split_once('[').ok_or(NotABound)?;
    let partition = rest.strip_suffix(']').and_then(|number| number.parse().ok()).filter(|number| *number >= 0);
    match partition {
        Some(partition) if !topic.is_empty() => Ok(TopicPartition::new(topic, partition)),
        _ => Err(NotABound),
    }
}

fn number(text: &str) -> Result<i64, NotABound> {
    text.trim().parse().ok().filter(|number| *number >= 0).ok_or(NotABound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_a_time_a_time_ago_one_offset_or_some() {
        assert_eq!("1970-01-01T00:00:07Z".parse(), Ok(Bound::Time(7_000)));
        assert_eq!("1500".parse(), Ok(Bound::Offset(1500)));
        let some = [(TopicPartition::new("a-b.c", 0), 5), (TopicPartition::new("a-b.c", 11), 0)];
        assert_eq!("a-b.c[0]=5, a-b.c[11]=0".parse(), Ok(Bound::Offsets(some.into())));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        let Ok(Bound::Time(ago)) = "1h 30m".parse() else { panic!("no time") };
        let ago_ms = i64::try_from(now).unwrap() - ago;
        assert!((5_395_000..=5_405_000).contains(&ago_ms), "{ago_ms}");
    }

    #[test]
    fn what_is_no_bound_is_refused() {
        for text in [
            "",
            "soon",
            "-5",
            "a=5",
            "a[0]",
            "a[0]=",
            "a[-1]=5",
            "[0]=5",
            "a[0]=-1",
            "a[0]=1,a[0]=2",
            "a[0]=1,",
            "2026-01-31",
            "99999999999999999999",
            "1969-12-31T23:59:59Z",
            "10000000y",
        ] {
            assert_eq!(text.parse::<Bound>(), Err(NotABound), "{text:?}");
        }
    }
}
