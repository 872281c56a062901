//! Records of one partition, copied once into one buffer.

use std::cell::Cell;
use std::ops::Range;

use crate::{DeadLetter, TopicPartition};

/// Consecutive records of one partition, in offset order. It is empty only where every record was
/// passed over, and no processor meets such a one.
#[derive(Debug)]
pub struct Batch {
    origin: TopicPartition,
    bytes: Vec<u8>,
    slots: Vec<Slot>,
    /// The first offset it covers, and the one after the last.
    first: i64,
    next: i64,
    /// Records that are not this group's to process.
    passed_over: usize,
    /// The record being read: what a panic died on.
    reading: Cell<i64>,
}

/// Where a record's parts lie in the buffer.
#[derive(Debug, Clone)]
struct Slot {
    offset: i64,
    timestamp_ms: Option<i64>,
    key: Option<Range<usize>>,
    value: Option<Range<usize>>,
    headers: Range<usize>,
}

/// One record, borrowed from its batch.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Where it stands in its partition.
    pub offset: i64,
    /// Its timestamp, in milliseconds since the epoch, where it has one.
    pub timestamp_ms: Option<i64>,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value; none is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Its headers.
    pub headers: Headers<'a>,
}

/// A record's headers: each a name and a value, both preceded by their length.
#[derive(Clone, Copy, Debug, Default)]
pub struct Headers<'a>(&'a [u8]);

/// A header's name and value; a null value is empty.
pub type Header<'a> = (&'a str, &'a [u8]);

impl Batch {
    /// The partition that the records are of.
    pub fn origin(&self) -> &TopicPartition {
        &self.origin
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there is no record: all that it covers was passed over.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The bytes of all records.
    pub fn weight(&self) -> usize {
        self.bytes.len()
    }

    /// The offset of the first record, passed over or not.
    pub fn first_offset(&self) -> i64 {
        self.first
    }

    /// The offset after the last record's, passed over or not: what a commit of the whole batch says.
    pub fn next_offset(&self) -> i64 {
        self.next
    }

    /// How many records it covers that are not in it.
    pub fn passed_over(&self) -> usize {
        self.passed_over
    }

    /// The first record's timestamp, in milliseconds since the epoch.
    pub fn oldest_ms(&self) -> Option<i64> {
        self.slots.first().and_then(|slot| slot.timestamp_ms)
    }

    /// The records in offset order.
    pub fn records(&self) -> impl Iterator<Item = Record<'_>> {
        self.slots.iter().map(|slot| {
            self.reading.set(slot.offset);
            self.record(slot)
        })
    }

    /// The offset of the record that was read last.
    pub fn reading(&self) -> i64 {
        self.reading.get()
    }

    fn record(&self, slot: &Slot) -> Record<'_> {
        let part = |range: &Range<usize>| self.bytes.get(range.clone()).unwrap_or_default();
        Record {
            offset: slot.offset,
            timestamp_ms: slot.timestamp_ms,
            key: slot.key.as_ref().map(part),
            value: slot.value.as_ref().map(part),
            headers: Headers(part(&slot.headers)),
        }
    }
}

impl Record<'_> {
    /// A copy of the record, byte for byte, for the dead-letter topic.
    pub fn dead_letter(&self, reason: &'static str, detail: String) -> DeadLetter {
        DeadLetter {
            offset: self.offset,
            timestamp_ms: self.timestamp_ms,
            key: self.key.map(<[u8]>::to_vec),
            value: self.value.map(<[u8]>::to_vec),
            headers: self.headers.iter().map(|(name, value)| (name.to_owned(), value.to_vec())).collect(),
            reason,
            detail,
        }
    }
}

impl<'a> Headers<'a> {
    /// The headers in order.
    pub fn iter(self) -> impl Iterator<Item = Header<'a>> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let name = take(&mut rest)?;
            let value = take(&mut rest)?;
            Some((std::str::from_utf8(name).unwrap_or_default(), value))
        })
    }

    /// The last header of that name, as Kafka's own `lastHeader` gives it.
    pub fn get(self, name: &str) -> Option<&'a [u8]> {
        self.iter().filter(|(have, _)| *have == name).last().map(|(_, value)| value)
    }
}

fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (len, after) = rest.split_first_chunk::<4>()?;
    let (part, after) = after.split_at_checked(u32::from_le_bytes(*len) as usize)?;
    *rest = after;
    Some(part)
}

/// Gathers the records of a batch.
#[derive(Debug)]
pub struct BatchBuilder(Batch);

impl BatchBuilder {
    /// Begins a batch of a partition.
    pub fn new(origin: TopicPartition) -> Self {
        Self::with_room(origin, 0, 0)
    }

    /// Begins one that likely becomes so many bytes and records: it does not have to grow for them.
    pub fn with_room(origin: TopicPartition, bytes: usize, records: usize) -> Self {
        let batch = Batch {
            origin,
            bytes: Vec::with_capacity(bytes),
            slots: Vec::with_capacity(records),
            first: 0,
            next: 0,
            passed_over: 0,
            reading: Cell::new(0),
        };
        Self(batch)
    }

    /// Copies a record to the batch's end. Its offset is above the last one's.
    pub fn push<'h>(
        &mut self,
        offset: i64,
        timestamp_ms: Option<i64>,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl Iterator<Item = Header<'h>>,
    ) -> Record<'_> {
        if self.is_empty() {
            self.0.first = offset;
        }
        let batch = &mut self.0;
        batch.next = offset + 1;
        let mut copy = |part: &[u8]| {
            let start = batch.bytes.len();
            batch.bytes.extend_from_slice(part);
            start..batch.bytes.len()
        };
        let key = key.map(&mut copy);
        let value = value.map(&mut copy);
        let start = batch.bytes.len();
        for (name, value) in headers {
            for part in [name.as_bytes(), value] {
                // A header over 4 GiB cannot be: Kafka's own length is a signed 32-bit number.
                let len = u32::try_from(part.len()).unwrap_or(u32::MAX);
                batch.bytes.extend_from_slice(&len.to_le_bytes());
                batch.bytes.extend_from_slice(part);
            }
        }
        let slot = Slot { offset, timestamp_ms, key, value, headers: start..batch.bytes.len() };
        batch.slots.push(slot.clone());
        batch.record(&slot)
    }

    /// Takes the last record out again, which is not this group's to process: its offset counts as
    /// done with the batch's.
    pub fn pass_over(&mut self) {
        let Some(Slot { key, value, headers, .. }) = self.0.slots.pop() else { return };
        let start = key.or(value).unwrap_or(headers).start;
        self.0.bytes.truncate(start);
        self.0.passed_over += 1;
    }

    /// How many records were pushed, those passed over too.
    pub fn len(&self) -> usize {
        self.0.len() + self.0.passed_over
    }

    /// Whether nothing was pushed yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of all records so far.
    pub fn weight(&self) -> usize {
        self.0.weight()
    }

    /// The batch, if anything was pushed.
    pub fn build(self) -> Option<Batch> {
        (!self.is_empty()).then_some(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_as_they_were_pushed() {
        let mut builder = BatchBuilder::new(TopicPartition::new("t", 3));
        builder.push(7, Some(1), Some(b"k"), Some(b"value"), [("a", &b"1"[..]), ("a", b"2")].into_iter());
        builder.push(9, None, None, None, std::iter::empty());
        let batch = builder.build().unwrap();
        assert_eq!((batch.first_offset(), batch.next_offset(), batch.len()), (7, 10, 2));

        let records: Vec<_> = batch.records().collect();
        assert_eq!((records[0].key, records[0].value), (Some(&b"k"[..]), Some(&b"value"[..])));
        assert_eq!(records[0].headers.get("a"), Some(&b"2"[..]));
        assert_eq!(records[0].headers.iter().count(), 2);
        assert_eq!((records[1].offset, records[1].key, records[1].value), (9, None, None));
        assert_eq!(batch.reading(), 9);
    }

    #[test]
    fn what_is_passed_over_counts_as_done_and_is_not_there() {
        let mut builder = BatchBuilder::new(TopicPartition::new("t", 0));
        for offset in 3..8 {
            let record = builder.push(offset, None, Some(b"key"), Some(&[7; 100]), [("h", &b"1"[..])].into_iter());
            assert_eq!((record.offset, record.headers.get("h")), (offset, Some(&b"1"[..])));
            if offset != 5 {
                builder.pass_over();
            }
        }
        assert_eq!((builder.len(), builder.is_empty()), (5, false));
        let batch = builder.build().unwrap();
        assert_eq!((batch.first_offset(), batch.next_offset(), batch.passed_over()), (3, 8, 4));
        let records: Vec<_> = batch.records().collect();
        assert_eq!((records.len(), records[0].offset, records[0].key), (1, 5, Some(&b"key"[..])));
        assert_eq!(batch.weight(), 103 + 10, "only what is there weighs");
    }

    #[test]
    fn a_batch_of_passed_over_records_alone_is_empty_and_has_its_offsets() {
        let mut builder = BatchBuilder::new(TopicPartition::new("t", 0));
        for offset in [4, 9] {
            builder.push(offset, None, None, None, std::iter::empty());
            builder.pass_over();
        }
        let batch = builder.build().unwrap();
        assert!(batch.is_empty());
        assert_eq!((batch.first_offset(), batch.next_offset(), batch.weight()), (4, 10, 0));
        assert!(BatchBuilder::new(TopicPartition::new("t", 0)).build().is_none());
    }

    #[test]
    fn an_empty_value_is_not_a_tombstone() {
        let mut builder = BatchBuilder::new(TopicPartition::new("t", 0));
        builder.push(0, None, Some(b""), Some(b""), std::iter::empty());
        let batch = builder.build().unwrap();
        let record = batch.records().next().unwrap();
        assert_eq!((record.key, record.value), (Some(&b""[..]), Some(&b""[..])));
    }

    #[test]
    fn a_dead_letter_is_the_record_byte_for_byte() {
        let mut builder = BatchBuilder::new(TopicPartition::new("t", 0));
        builder.push(5, Some(2), Some(b"k"), Some(b"\xff\x00"), [("h", &b"\xfe"[..])].into_iter());
        let batch = builder.build().unwrap();
        let letter = batch.records().next().unwrap().dead_letter("malformed", "at byte 1".into());
        assert_eq!(letter.value.as_deref(), Some(&b"\xff\x00"[..]));
        assert_eq!(letter.headers, vec![("h".to_owned(), b"\xfe".to_vec())]);
        assert_eq!((letter.offset, letter.timestamp_ms, letter.reason), (5, Some(2), "malformed"));
    }
}
