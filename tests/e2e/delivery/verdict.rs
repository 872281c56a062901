//! What a counting job has made, against what its input makes of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::time::Duration;

use weir_tests::counting::{Kind, Model, ORIGIN, Origin};
use weir_tests::stack::Record;

use super::outside::Decided;
use crate::job::Job;
use crate::trouble::Disturbed;

const DEAD_LETTERS: &str = "weir-dead-letters";

/// What a partition's input makes.
#[derive(Default)]
struct Wanted {
    model: Model,
    end: i64,
    changes: Vec<Change>,
    kept: BTreeSet<i64>,
    malformed: BTreeMap<i64, Record>,
}

/// A change, as it has to be written.
struct Change {
    offset: i64,
    key: Vec<u8>,
    count: u64,
    /// When the record was written.
    since_ms: i64,
}

/// What was found, all of it right.
#[derive(Default)]
pub(crate) struct Found {
    /// Records of the input.
    pub records: u64,
    changes: usize,
    dead_letters: usize,
    decided: usize,
    /// Verdicts that were told again.
    repeated: usize,
    /// How long records waited while their partition stood still, and until when, in milliseconds.
    pauses: Vec<(i64, i64)>,
}

/// Checks output, dead letters, state and verdicts of a job that has come to its end.
#[track_caller]
pub(crate) fn exactly_once(job: &Job, decided: &Decided) -> Found {
    for topic in [&job.output(), &job.state(), DEAD_LETTERS] {
        job.kafka.settle(topic);
    }
    let mut found = Found::default();
    let wanted = wanted(job, &mut found);
    changes(job, &wanted, &mut found);
    dead_letters(job, &wanted, &mut found);
    state(job, &wanted);
    let kept = wanted.iter().flat_map(|(partition, of)| of.kept.iter().map(|offset| (*partition, *offset)));
    assert_eq!(decided.keys().copied().collect::<BTreeSet<_>>(), kept.collect(), "kept records that were decided");
    for (record, verdicts) in decided {
        assert!(verdicts.iter().all(|verdict| *verdict == verdicts[0]), "{record:?} was decided twice: {verdicts:?}");
    }
    found.decided = decided.len();
    found.repeated = decided.values().map(|verdicts| verdicts.len() - 1).sum();
    found
}

fn wanted(job: &Job, found: &mut Found) -> BTreeMap<i32, Wanted> {
    let mut wanted: BTreeMap<i32, Wanted> = BTreeMap::new();
    job.kafka.read_each(&job.name, |record| {
        found.records += 1;
        let of = wanted.entry(record.partition.unwrap()).or_default();
        of.end = record.offset + 1;
        let key = record.key.clone().unwrap_or_default();
        match of.model.take(&key, record.value.as_deref().unwrap_or_default()) {
            Kind::Changed(count) => {
                let since_ms = record.timestamp_ms.unwrap();
                of.changes.push(Change { offset: record.offset, key, count, since_ms });
            }
            Kind::Kept => drop(of.kept.insert(record.offset)),
            Kind::Malformed => drop(of.malformed.insert(record.offset, record)),
        }
    });
    wanted
}

/// Every change is there once, and in order; how long they waited for each other.
#[track_caller]
fn changes(job: &Job, wanted: &BTreeMap<i32, Wanted>, found: &mut Found) {
    let mut places: HashMap<i32, (usize, Option<Origin>)> = HashMap::new();
    job.kafka.read_each(&job.output(), |record| {
        let partition = record.partition.unwrap();
        let (_, origin) = record.headers.iter().find(|(name, _)| name == ORIGIN).unwrap();
        let origin = Origin::read(origin.as_deref().unwrap()).unwrap();
        let (place, before) = places.entry(partition).or_default();
        let want = wanted[&partition].changes.get(*place);
        let key = record.key.unwrap_or_default();
        let count = u64::from_be_bytes(record.value.unwrap().try_into().unwrap());
        let due = want.is_some_and(|want| (want.offset, &want.key, want.count) == (origin.offset, &key, count));
        assert!(
            due,
            "partition {partition} has at {} a change of record {} to {count}, after that of {:?}, instead of {:?}",
            record.offset,
            origin.offset,
            before.map(|before| before.offset),
            want.map(|want| (want.offset, want.count))
        );
        if let (Some(before), Some(want)) = (before.filter(|before| before.life == origin.life), want) {
            found.pauses.push((origin.at_ms - before.at_ms.max(want.since_ms), origin.at_ms));
        }
        (*place, *before) = (*place + 1, Some(origin));
        found.changes += 1;
    });
    for (partition, of) in wanted {
        let place = places.get(partition).map_or(0, |(place, _)| *place);
        assert_eq!(place, of.changes.len(), "changes in partition {partition}: the last ones are missing");
    }
}

/// Every malformed record is dead-lettered once, byte for byte.
#[track_caller]
fn dead_letters(job: &Job, wanted: &BTreeMap<i32, Wanted>, found: &mut Found) {
    let mut seen = BTreeSet::new();
    job.kafka.read_each(DEAD_LETTERS, |letter| {
        let header = |name: &str| {
            let (_, value) = letter.headers.iter().find(|(have, _)| have == name).unwrap();
            String::from_utf8(value.clone().unwrap()).unwrap()
        };
        if header("weir.dlq.group") != job.name {
            return;
        }
        let (partition, offset) =
            (header("weir.dlq.partition").parse().unwrap(), header("weir.dlq.offset").parse().unwrap());
        let origin = wanted[&partition].malformed.get(&offset);
        assert!(origin.is_some_and(|origin| (&origin.key, &origin.value) == (&letter.key, &letter.value)));
        assert!(seen.insert((partition, offset)), "record {offset} of partition {partition} was dead-lettered twice");
    });
    found.dead_letters = seen.len();
    let malformed = wanted.iter().flat_map(|(partition, of)| of.malformed.keys().map(|offset| (*partition, *offset)));
    let missing: Vec<_> = malformed.filter(|record| !seen.contains(record)).collect();
    assert!(missing.is_empty(), "records that are not dead-lettered: {missing:?}");
}

/// The changelog holds the counts, and the offset that they belong to.
#[track_caller]
fn state(job: &Job, wanted: &BTreeMap<i32, Wanted>) {
    let mut kept: HashMap<i32, BTreeMap<Vec<u8>, Vec<u8>>> = HashMap::new();
    job.kafka.read_each(&job.state(), |record| {
        let entries = kept.entry(record.partition.unwrap()).or_default();
        match record.value {
            Some(value) => entries.insert(record.key.unwrap(), value),
            None => entries.remove(&record.key.unwrap()),
        };
    });
    for (partition, of) in wanted {
        let entries = &kept[partition];
        let prefix = |kind: &[u8]| [kind, job.name.as_bytes(), &[0]].concat();
        let counts: BTreeMap<_, _> =
            entries.iter().filter(|(key, _)| key.starts_with(&[&prefix(b"s")[..], b"c"].concat())).collect();
        let want: BTreeMap<Vec<u8>, Vec<u8>> = of
            .model
            .counts()
            .map(|(key, count)| Model::entry(key, count))
            .map(|(own, value)| ([prefix(b"s"), own].concat(), value))
            .collect();
        assert!(counts.into_iter().eq(want.iter()), "the counts of partition {partition} are not those of its input");
        let position = [&[1_u8][..], &of.end.to_be_bytes()].concat();
        assert_eq!(entries.get(&prefix(b"p")), Some(&position), "position of partition {partition}");
    }
}

impl Found {
    /// The longest that a record waited for a partition that stayed with its process, brokers in trouble apart.
    pub fn longest_pause(&self, disturbed: &Disturbed) -> Duration {
        let calm = |(waited, until): &&(i64, i64)| {
            !disturbed.iter().any(|trouble| trouble.start < *until && *until - *waited < trouble.end)
        };
        let longest = self.pauses.iter().filter(calm).map(|(waited, _)| *waited).max();
        Duration::from_millis(longest.unwrap_or_default().try_into().unwrap_or_default())
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { records, changes, dead_letters, decided, repeated, .. } = self;
        write!(f, "{records} records, {changes} changes, {dead_letters} dead letters, {decided} decided")?;
        write!(f, " ({repeated} verdicts repeated)")
    }
}
