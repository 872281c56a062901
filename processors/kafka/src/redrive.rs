//! Dead letters as they are read again, and what of them goes back to its origin.
//!
//! A redriven record is the letter's own key, value and headers, with the group that it is for,
//! whose workers alone process it, and how often it was redriven. In the same transaction the
//! dead-letter topic gets a marker that names the letter, which is therefore redriven once.

use std::str::FromStr;

use weir_contract::{Headers, Output, TopicPartition};

use crate::client::Arrived;
use crate::dead_letter::VERSION;

/// How often a record is redriven at most: one that is rejected each time stays where it is then.
pub const REDRIVES_MAX: u32 = 3;

/// The group that a redriven record is for.
const GROUP: &str = "weir.redrive.group";
/// How often it was redriven.
const COUNT: &str = "weir.redrive.count";
/// The format of a marker.
const MARKER: &str = "weir.redrive.marker";
const MARKER_VERSION: &str = "1";

/// A record of the dead-letter topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A dead letter.
    Letter(Box<Letter>),
    /// The offsets of letters of this partition that were redriven.
    Marker(Vec<i64>),
    /// Nothing of Weir's.
    Unknown,
}

/// A dead letter without its key and value. All its texts are what headers say, which whoever may
/// write to the topic has chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Its partition in the dead-letter topic.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// When it was written there, in milliseconds since the epoch.
    pub written_ms: Option<i64>,
    /// The worker that rejected the record.
    pub worker: String,
    /// That worker's group.
    pub group: String,
    /// Where the record stood.
    pub origin: TopicPartition,
    /// Its offset there.
    pub origin_offset: i64,
    /// Its timestamp there, in milliseconds since the epoch.
    pub origin_ms: Option<i64>,
    /// Why it was rejected.
    pub reason: String,
    /// What helps to find the cause.
    pub detail: String,
    /// How often the record had been redriven before.
    pub redrives: u32,
    /// The bytes of its key, where it has one.
    pub key_bytes: Option<usize>,
    /// The bytes of its value, where it has one.
    pub value_bytes: Option<usize>,
    /// Every header, in order.
    pub headers: Vec<(String, Vec<u8>)>,
}

/// Why a letter cannot be redriven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Its headers have another format.
    #[error("was written by another version of Weir")]
    Version,
    /// Only its size and hash are there.
    #[error("has no value: the record was larger than the dead-letter topic takes")]
    TooLarge,
    /// Only its headers are there.
    #[error("has no value: retention had removed the record before it could be read again")]
    Removed,
    /// It comes back each time.
    #[error("was redriven {REDRIVES_MAX} times already")]
    Limit,
}

/// Whether a record is redriven, for another group than that.
pub(crate) fn is_for_another(headers: Headers<'_>, group: &str) -> bool {
    headers.get(GROUP).is_some_and(|other| other != group.as_bytes())
}

/// The record that says which letters of a partition of the dead-letter topic were redriven.
pub fn marker(letters: &TopicPartition, offsets: &[i64]) -> Output {
    let offsets: Vec<_> = offsets.iter().map(i64::to_string).collect();
    Output {
        topic: letters.topic.clone(),
        partition: Some(letters.partition),
        key: None,
        value: Some(offsets.join(" ").into_bytes()),
        headers: vec![(MARKER.to_owned(), MARKER_VERSION.into())],
    }
}

impl Found {
    /// What a record of the dead-letter topic is.
    pub fn read(record: &mut Arrived<'_>) -> Self {
        let headers: Vec<_> = record.headers.map(|(name, value)| (name.to_owned(), value.to_vec())).collect();
        if header(&headers, MARKER).is_some() {
            let text = record.value.and_then(|value| std::str::from_utf8(value).ok()).unwrap_or_default();
            return Self::Marker(text.split(' ').filter_map(|offset| offset.parse().ok()).collect());
        }
        Letter::read(record, headers).map_or(Self::Unknown, |letter| Self::Letter(Box::new(letter)))
    }
}

impl Letter {
    fn read(record: &Arrived<'_>, headers: Vec<(String, Vec<u8>)>) -> Option<Self> {
        let said = |name| header(&headers, &format!("weir.dlq.{name}"));
        let text = |name| said(name).map(|value| String::from_utf8_lossy(value).into_owned());
        let partition = number(said("partition")?).filter(|partition| *partition >= 0)?;
        Some(Self {
            partition: record.partition,
            offset: record.offset,
            written_ms: record.timestamp_ms,
            worker: text("worker")?,
            group: text("group")?,
            origin: TopicPartition::new(text("topic")?, partition),
            origin_offset: number(said("offset")?)?,
            origin_ms: said("timestamp").and_then(number),
            reason: text("reason")?,
            detail: text("detail").unwrap_or_default(),
            // A count that is none is no reason to try for ever.
            redrives: header(&headers, COUNT).map_or(0, |count| number(count).unwrap_or(REDRIVES_MAX)),
            key_bytes: record.key.map(<[u8]>::len),
            value_bytes: record.value.map(<[u8]>::len),
            headers,
        })
    }

    /// Why it cannot be redriven, if so.
    pub fn unfit(&self) -> Option<Unfit> {
        let has = |name| header(&self.headers, name).is_some();
        if header(&self.headers, "weir.dlq.version") != Some(VERSION.as_bytes()) {
            return Some(Unfit::Version);
        }
        if self.value_bytes.is_none() {
            if has("weir.dlq.size") {
                return Some(Unfit::TooLarge);
            }
            // A tombstone has a timestamp.
            if self.origin_ms.is_none() {
                return Some(Unfit::Removed);
            }
        }
        (self.redrives >= REDRIVES_MAX).then_some(Unfit::Limit)
    }

    /// The record that goes back to where it stood, for the group that rejected it.
    pub fn redriven(&self, key: Option<&[u8]>, value: Option<&[u8]>) -> Output {
        let own = |(name, _): &&(String, Vec<u8>)| !name.starts_with("weir.dlq.") && name != GROUP && name != COUNT;
        let mut headers: Vec<_> = self.headers.iter().filter(own).cloned().collect();
        headers.push((GROUP.to_owned(), self.group.clone().into_bytes()));
        headers.push((COUNT.to_owned(), self.redrives.saturating_add(1).to_string().into_bytes()));
        Output {
            topic: self.origin.topic.clone(),
            partition: Some(self.origin.partition),
            key: key.map(<[u8]>::to_vec),
            value: value.map(<[u8]>::to_vec),
            headers,
        }
    }
}

/// The last header of that name: Weir's own follow the record's.
fn header<'h>(headers: &'h [(String, Vec<u8>)], name: &str) -> Option<&'h [u8]> {
    headers.iter().rev().find(|(have, _)| have == name).map(|(_, value)| value.as_slice())
}

fn number<N: FromStr>(text: &[u8]) -> Option<N> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use weir_contract::{BatchBuilder, DeadLetter};

    use super::*;
    use crate::{Identity, dead_letter};

    fn identity() -> Identity {
        Identity {
            worker: "metrics".into(),
            group: "weir-metrics".into(),
            dead_letter_topic: "weir-dead-letters".into(),
            dead_letter_max_bytes: 1000,
            state_topic: None,
        }
    }

    fn rejected(headers: &[(&str, &str)]) -> DeadLetter {
        DeadLetter {
            offset: 7,
            timestamp_ms: Some(5),
            key: Some(b"k".to_vec()),
            value: Some(b"v".to_vec()),
            headers: headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect(),
            reason: "malformed",
            detail: "at byte 3".into(),
        }
    }

    /// What is read of a record at offset 40 of partition 1.
    fn read(record: &Output) -> Found {
        Found::read(&mut Arrived {
            topic: &record.topic,
            partition: 1,
            offset: 40,
            timestamp_ms: Some(9),
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: &mut record.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())),
        })
    }

    #[track_caller]
    fn letter(rejected: &DeadLetter) -> Letter {
        match read(&dead_letter::output(rejected, &TopicPartition::new("t", 2), &identity())) {
            Found::Letter(letter) => *letter,
            other => panic!("{other:?}"),
        }
    }

    fn headers(output: &Output) -> Vec<(&str, &str)> {
        output.headers.iter().map(|(name, value)| (name.as_str(), std::str::from_utf8(value).unwrap())).collect()
    }

    #[test]
    fn a_letter_reads_as_it_was_written() {
        let letter = letter(&rejected(&[("own", "1")]));
        assert_eq!((letter.partition, letter.offset, letter.written_ms), (1, 40, Some(9)));
        assert_eq!((letter.worker.as_str(), letter.group.as_str()), ("metrics", "weir-metrics"));
        assert_eq!((letter.origin.clone(), letter.origin_offset), (TopicPartition::new("t", 2), 7));
        assert_eq!(
            (letter.origin_ms, letter.reason.as_str(), letter.detail.as_str()),
            (Some(5), "malformed", "at byte 3")
        );
        assert_eq!((letter.key_bytes, letter.value_bytes, letter.redrives), (Some(1), Some(1), 0));
        assert_eq!(letter.unfit(), None);
    }

    #[test]
    fn a_redriven_record_is_the_record_with_its_group_and_count() {
        let redriven = letter(&rejected(&[("own", "1"), ("own", "2")])).redriven(Some(b"k"), Some(b"v"));
        assert_eq!((&*redriven.topic, redriven.partition), ("t", Some(2)));
        assert_eq!((redriven.key.as_deref(), redriven.value.as_deref()), (Some(&b"k"[..]), Some(&b"v"[..])));
        let first = [("own", "1"), ("own", "2"), ("weir.redrive.group", "weir-metrics"), ("weir.redrive.count", "1")];
        assert_eq!(headers(&redriven), first);

        // Rejected again, it keeps its count, and goes once more with one of each.
        let again = DeadLetter { headers: redriven.headers, ..rejected(&[]) };
        let again = letter(&again);
        assert_eq!((again.redrives, again.unfit()), (1, None));
        let count = ("weir.redrive.count", "2");
        assert_eq!(headers(&again.redriven(None, None)), [&first[..3], &[count]].concat());
    }

    #[test]
    fn a_record_that_comes_back_each_time_stays() {
        for (count, unfit) in
            [("2", None), ("3", Some(Unfit::Limit)), ("many", Some(Unfit::Limit)), ("-1", Some(Unfit::Limit))]
        {
            assert_eq!(letter(&rejected(&[(COUNT, count)])).unfit(), unfit, "{count}");
        }
    }

    #[test]
    fn headers_alone_are_not_redriven_and_a_tombstone_is() {
        let too_large = DeadLetter { value: Some(vec![0; 2000]), ..rejected(&[]) };
        assert_eq!(letter(&too_large).unfit(), Some(Unfit::TooLarge));
        let removed = DeadLetter { timestamp_ms: None, key: None, value: None, ..rejected(&[]) };
        assert_eq!(letter(&removed).unfit(), Some(Unfit::Removed));
        let tombstone = DeadLetter { value: None, ..rejected(&[]) };
        assert_eq!(letter(&tombstone).unfit(), None);
        let mut future = letter(&rejected(&[]));
        future.headers.push(("weir.dlq.version".into(), b"2".to_vec()));
        assert_eq!(future.unfit(), Some(Unfit::Version));
    }

    #[test]
    fn a_marker_names_its_letters() {
        let marker = marker(&TopicPartition::new("d", 1), &[3, 40, 1 << 40]);
        assert_eq!((&*marker.topic, marker.partition), ("d", Some(1)));
        assert_eq!(read(&marker), Found::Marker(vec![3, 40, 1 << 40]));
    }

    #[test]
    fn what_is_no_letter_is_told_apart() {
        let mut record = dead_letter::output(&rejected(&[]), &TopicPartition::new("t", 2), &identity());
        assert!(matches!(read(&record), Found::Letter(_)));
        for (name, value) in
            [("partition", "-1"), ("partition", "x"), ("offset", ""), ("offset", "9999999999999999999")]
        {
            let mut wrong = record.clone();
            wrong.headers.push((format!("weir.dlq.{name}"), value.into()));
            assert_eq!(read(&wrong), Found::Unknown, "{name} {value}");
        }
        record.headers.clear();
        assert_eq!(read(&record), Found::Unknown);
    }

    #[test]
    fn only_a_record_for_another_group_is_passed_over() {
        for (headers, another) in [
            (&[][..], false),
            (&[("content-encoding", "gzip")][..], false),
            (&[(GROUP, "mine")][..], false),
            (&[(GROUP, "other")][..], true),
            (&[(GROUP, "")][..], true),
            (&[(GROUP, "other"), (COUNT, "1"), (GROUP, "mine")][..], false),
        ] {
            let mut builder = BatchBuilder::new(TopicPartition::new("t", 0));
            let headers = headers.iter().map(|(name, value)| (*name, value.as_bytes()));
            let record = builder.push(0, None, None, None, headers.clone());
            assert_eq!(is_for_another(record.headers, "mine"), another, "{:?}", headers.collect::<Vec<_>>());
        }
    }
}
