//! Opening a partition: the state at the committed offset, and that offset.

use std::collections::BTreeMap;
use std::sync::Arc;

use weir_contract::TopicPartition;

use crate::client::{Arrived, Client, ClientError, Committed, Isolation, TopicNow};
use crate::mark::Mark;
use crate::state::Kept;

/// Where a group without a committed offset begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At the first record that is there.
    Earliest,
    /// Behind the last record that is there now; of a partition that was added to its topic since the
    /// group began there, at the first one.
    Latest,
    /// At the first record of that time, in milliseconds since the epoch, or later.
    Time(i64),
}

/// Where a partition begins, and with what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The processor's state at that offset, by key.
    pub state: State,
    /// The offset of the first record that is not done.
    pub offset: i64,
    /// What is committed beside that offset and those after it.
    pub mark: Mark,
    /// Records that retention removed before they were read.
    pub gap: Option<Gap>,
    /// Whether the offset is committed. If not, it has to be before any record is read: where the group
    /// begins is found once, not after each crash anew.
    pub committed: bool,
}

/// A partition's state, by key.
pub type State = BTreeMap<Vec<u8>, Vec<u8>>;

/// Records that were not read and are not there any more (invariant 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The first offset that is missing.
    pub from: i64,
    /// The first offset that is there.
    pub to: i64,
}

/// Why a partition does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Kafka did not answer as it should; again later.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The changelog's last records are not visible yet; again later.
    #[error("changelog of {partition} ends at {stable}, its last records at {end} are not visible yet")]
    NotStable {
        /// The changelog's partition.
        partition: TopicPartition,
        /// What a read-committed reader sees.
        stable: i64,
        /// What has been written.
        end: i64,
    },
    /// Somebody else has committed while the state was read; again later, if it is ours still.
    #[error("offset of {partition} moved while its state was read")]
    Moved {
        /// The source partition.
        partition: TopicPartition,
    },
    /// The state does not belong to the committed offset.
    #[error(
        "state of {partition} is at offset {state:?} but the group's committed offset is {committed:?}; \
         restore the offset, or drop the state with `weir state reset`"
    )]
    Apart {
        /// The source partition.
        partition: TopicPartition,
        /// The offset that the changelog says.
        state: Option<i64>,
        /// The offset that the group says.
        committed: Option<i64>,
    },
    /// The topic was deleted and created again since the offset was committed.
    #[error(
        "{partition} is of another topic than the committed offset {committed}: the topic was deleted and created \
         again; reset the group's offsets (and, of a worker that keeps state, `weir state reset`)"
    )]
    Recreated {
        /// The source partition.
        partition: TopicPartition,
        /// The offset that the group says.
        committed: i64,
    },
    /// What is committed was written by a later version of Weir.
    #[error(
        "{what} of {partition} is of a later version of Weir; run that version, or go back as the operations guide says"
    )]
    LaterFormat {
        /// The source partition.
        partition: TopicPartition,
        /// What is of a later version.
        what: &'static str,
    },
    /// The committed offset is above the log's end: the topic was made again, or lost records.
    #[error(
        "committed offset {committed} of {partition} is above the log's end {end}: \
         the topic was deleted and created again, or has lost records; reset the group's offsets"
    )]
    AboveEnd {
        /// The source partition.
        partition: TopicPartition,
        /// The offset that the group says.
        committed: i64,
        /// The log's end.
        end: i64,
    },
}

impl OpenError {
    /// Whether waiting helps; else a person is needed.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Client(_) | Self::NotStable { .. } | Self::Moved { .. })
    }
}

/// Finds where a partition begins, and its state.
///
/// The committed offset is asked for first, and stable; the changelog's end after it, of what is
/// written rather than of what is visible: a transaction's markers become visible partition by
/// partition, and those of the offsets may come before those of the changelog.
///
/// # Errors
/// Those that pass ([`OpenError::is_passing`]) and those that need a person.
pub async fn open<C: Client>(
    client: &C,
    source: &TopicPartition,
    start: Start,
    state_topic: Option<&Arc<str>>,
) -> Result<Opened, OpenError> {
    let committed = client.committed(source).await?;
    let mark = read_mark(source, committed.as_ref())?;
    let topic = client.topic(&source.topic).await?;
    let mut state = State::new();
    if let Some(topic) = state_topic {
        let kept = read_state(client, source, topic).await?;
        if kept.later {
            let what = "the changelog's position record";
            return Err(OpenError::LaterFormat { partition: source.clone(), what });
        }
        if is_apart(committed.as_ref(), kept.position) {
            // Whoever owns it by now may have committed between the two.
            if client.committed(source).await? != committed {
                return Err(OpenError::Moved { partition: source.clone() });
            }
            let committed = committed.map(|committed| committed.offset);
            return Err(OpenError::Apart { partition: source.clone(), state: kept.position, committed });
        }
        state = kept.entries;
    }

    if let (Some(committed), Some(before), Some(now)) = (&committed, &mark.topic_id, &topic)
        && *before != now.id
    {
        return Err(OpenError::Recreated { partition: source.clone(), committed: committed.offset });
    }
    let (low, high) = client.bounds(source, Isolation::Uncommitted).await?;
    let offset = match &committed {
        None => match start {
            Start::Earliest => low,
            Start::Latest if is_added(client, source, topic.as_ref()).await? => low,
            Start::Latest => high,
            Start::Time(ms) => client.offset_at(source, ms).await?,
        },
        Some(Committed { offset, .. }) if *offset > high => {
            return Err(OpenError::AboveEnd { partition: source.clone(), committed: *offset, end: high });
        }
        Some(Committed { offset, .. }) => low.max(*offset),
    };
    let known = committed.as_ref().map(|committed| committed.offset);
    // Retention may have passed what was read before, because somebody else has done it.
    if known != Some(offset) && client.committed(source).await? != committed {
        return Err(OpenError::Moved { partition: source.clone() });
    }
    let gap = known.filter(|from| *from < offset).map(|from| Gap { from, to: offset });
    let partitions = mark.partitions.or(topic.as_ref().map(|topic| topic.partitions));
    let mark = Mark { topic_id: topic.map(|topic| topic.id), partitions, ..mark };
    Ok(Opened { state, offset, mark, gap, committed: committed.is_some() })
}

/// Whether a partition was added to its topic since the group began there, which is committed beside the
/// offset of the topic's first one. Who writes to a new partition does not wait until every group has heard
/// of it.
async fn is_added<C: Client>(client: &C, source: &TopicPartition, now: Option<&TopicNow>) -> Result<bool, OpenError> {
    let Some(now) = now.filter(|_| source.partition > 0) else { return Ok(false) };
    let first = TopicPartition::new(source.topic.clone(), 0);
    let committed = client.committed(&first).await?;
    Ok(is_after(source.partition, &read_mark(&first, committed.as_ref())?, now))
}

/// Whether a partition was not there yet when the group began, as the mark of the topic's first one says.
fn is_after(partition: i32, first: &Mark, now: &TopicNow) -> bool {
    first.topic_id.as_ref() == Some(&now.id) && first.partitions.is_some_and(|then| partition >= then)
}

fn read_mark(source: &TopicPartition, committed: Option<&Committed>) -> Result<Mark, OpenError> {
    let later = |_| OpenError::LaterFormat { partition: source.clone(), what: "the committed offset's metadata" };
    committed.map_or(Ok(Mark::default()), |committed| Mark::read(&committed.metadata).map_err(later))
}

/// Whether the state is not that of the committed offset, so that a partition refuses to open. A
/// worker that begins to keep state has offsets without the mark, and no position.
pub fn is_apart(committed: Option<&Committed>, position: Option<i64>) -> bool {
    let claims = committed.is_some_and(|committed| Mark::read(&committed.metadata).is_ok_and(|mark| mark.state));
    (claims || position.is_some()) && position != committed.map(|committed| committed.offset)
}

/// Reads the changelog to its end.
pub(crate) async fn read_state<C: Client>(
    client: &C,
    source: &TopicPartition,
    topic: &Arc<str>,
) -> Result<Kept, OpenError> {
    let changelog = TopicPartition::new(topic.clone(), source.partition);
    let (first, end) = client.bounds(&changelog, Isolation::Uncommitted).await?;
    let (_, stable) = client.bounds(&changelog, Isolation::Committed).await?;
    if stable < end {
        return Err(OpenError::NotStable { partition: changelog, stable, end });
    }
    let mut kept = Kept::default();
    client
        .scan(&changelog, first, &mut |record: Arrived<'_>| {
            kept.take(&source.topic, &record);
            true
        })
        .await?;
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_was_added_if_the_topic_had_fewer_when_the_group_began() {
        let now = TopicNow { id: "a".into(), partitions: 15 };
        let first = Mark { topic_id: Some("a".into()), partitions: Some(12), ..Mark::default() };
        assert!(is_after(12, &first, &now) && is_after(14, &first, &now));
        assert!(!is_after(11, &first, &now), "it was there");
        assert!(!is_after(12, &Mark { partitions: None, ..first.clone() }, &now), "nobody knows");
        assert!(!is_after(12, &Mark { topic_id: Some("b".into()), ..first }, &now), "it was another topic");
        assert!(!is_after(12, &Mark::default(), &now), "the group has not begun");
    }
}
