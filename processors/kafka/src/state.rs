//! Keys and values of the changelog.
//!
//! A changelog partition belongs to the source partitions of the same number. A key is a kind, the
//! source topic and a zero byte; an entry's key is followed by the processor's own.

use std::sync::Arc;

use weir_contract::{Output, TopicPartition};

use crate::client::Arrived;
use crate::mark::LaterFormat;
use crate::open::State;

const ENTRY: u8 = b's';
const POSITION: u8 = b'p';
/// The format of position records.
const POSITION_VERSION: u8 = 1;

/// What a changelog has kept for one source partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// The processor's entries, by its own keys.
    pub entries: State,
    /// The source offset that they belong to.
    pub position: Option<i64>,
    /// Whether that is written in the format of a later version.
    pub later: bool,
    /// The records that this was read from, those that later ones replaced too.
    pub records: u64,
}

/// What stands in a changelog, of one source partition.
#[derive(Debug, PartialEq, Eq)]
enum StateRecord<'a> {
    /// An entry of the processor, under its own key.
    Entry(&'a [u8]),
    /// The source offset that the entries so far belong to.
    Position,
}

fn key(kind: u8, topic: &str, own: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(topic.len() + own.len() + 2);
    key.push(kind);
    key.extend_from_slice(topic.as_bytes());
    key.push(0);
    key.extend_from_slice(own);
    key
}

impl Kept {
    /// Takes a record of the changelog, in order; those of other source topics are none of it.
    pub fn take(&mut self, source: &str, record: &Arrived<'_>) {
        match record.key.and_then(|key| read_key(source, key)) {
            Some(StateRecord::Entry(key)) => {
                match record.value {
                    Some(value) => self.entries.insert(key.to_vec(), value.to_vec()),
                    None => self.entries.remove(key),
                };
            }
            Some(StateRecord::Position) => {
                let position = record.value.map(read_position).transpose();
                self.later = position.is_err();
                self.position = position.unwrap_or_default();
            }
            None => return,
        }
        self.records += 1;
    }
}

/// A changelog record for an entry; without a value it forgets the key.
pub(crate) fn entry(changelog: &Arc<str>, source: &TopicPartition, own: &[u8], value: Option<Vec<u8>>) -> Output {
    record(changelog, source, key(ENTRY, &source.topic, own), value)
}

/// A changelog record that says which source offset the entries before it belong to; without one,
/// that they belong to none.
pub(crate) fn position(changelog: &Arc<str>, source: &TopicPartition, offset: Option<i64>) -> Output {
    let value = offset.map(|offset| [&[POSITION_VERSION][..], &offset.to_be_bytes()].concat());
    record(changelog, source, key(POSITION, &source.topic, &[]), value)
}

fn record(changelog: &Arc<str>, source: &TopicPartition, key: Vec<u8>, value: Option<Vec<u8>>) -> Output {
    Output { topic: changelog.clone(), partition: Some(source.partition), key: Some(key), value, headers: Vec::new() }
}

/// What a changelog key is to that source topic; nothing, where it is another topic's.
fn read_key<'a>(source: &str, key: &'a [u8]) -> Option<StateRecord<'a>> {
    let (&kind, rest) = key.split_first()?;
    let own = rest.strip_prefix(source.as_bytes())?.strip_prefix(&[0])?;
    match kind {
        ENTRY => Some(StateRecord::Entry(own)),
        POSITION => Some(StateRecord::Position),
        _ => None,
    }
}

/// The source offset of a position record; an error, where it is of another format than this one.
fn read_position(value: &[u8]) -> Result<i64, LaterFormat> {
    match value.split_first() {
        Some((&POSITION_VERSION, offset)) => offset.try_into().map(i64::from_be_bytes).map_err(|_| LaterFormat),
        _ => Err(LaterFormat),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_belongs_to_its_source_topic_alone() {
        let source = TopicPartition::new("metrics", 3);
        let output = entry(&"weir-x-state".into(), &source, b"own\0key", Some(vec![1]));
        let key = output.key.unwrap_or_default();
        assert_eq!(output.partition, Some(3));
        assert_eq!(read_key("metrics", &key), Some(StateRecord::Entry(b"own\0key")));
        assert_eq!(read_key("metric", &key), None);
        assert_eq!(read_key("metrics2", &key), None);
    }

    #[test]
    fn a_position_reads_as_it_was_written_and_a_future_format_does_not() {
        let output = position(&"c".into(), &TopicPartition::new("t", 0), Some(1 << 40));
        let value = output.value.unwrap_or_default();
        assert_eq!(read_key("t", &output.key.unwrap_or_default()), Some(StateRecord::Position));
        assert_eq!(read_position(&value), Ok(1 << 40));
        assert_eq!(read_position(&[2, 0, 0, 0, 0, 0, 0, 0, 0]), Err(LaterFormat));
        assert_eq!(read_position(&[]), Err(LaterFormat));
    }
}
