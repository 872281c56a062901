//! A worker that does everything to Kafka that a worker can, and makes it checkable.
//!
//! In: records whose value begins with a kind: [`COUNT`], [`FORGET`] or [`KEEP`]; anything else is malformed and
//! rejected. Out: for each change of a key's count a record to the output topic, in the same partition, with its
//! [`Origin`]; for each record that was kept a line to the outside, `PARTITION OFFSET VERDICT`, once it is decided.
//! State: the counts by key, and decisions while their records are not committed. What the output has to be follows
//! from the input alone ([`Model`]); a verdict does not, so that a repeated one shows whether it was journalled.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt::Write;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use weir_contract::{
    Batch, Failure, Hold, Item, Memory, Next, Outbox, Output, Processor, Record, Released, Sink, StateError, Timestamp,
    TopicPartition,
};
use weir_runtime::Worker;

/// The first byte of a value whose key is to be counted.
pub const COUNT: u8 = b'c';
/// Of one whose key is to be forgotten.
pub const FORGET: u8 = b'f';
/// Of one that is kept until it is decided.
pub const KEEP: u8 = b'k';
/// The header of an output that says what it was made of.
pub const ORIGIN: &str = "origin";
/// Why a record of another kind is rejected.
pub const MALFORMED: &str = "malformed";

/// The format of values in the changelog.
const VERSION: u8 = 1;
/// Records kept, over which the oldest is decided.
const KEPT_MAX: usize = 8;
/// So long a record is kept, in milliseconds of the runtime's clock.
const KEPT_MS: i64 = 500;

/// The worker.
pub struct Counting {
    /// Where changes are written.
    pub output: Arc<str>,
    /// Where decided records are posted to.
    pub outside: String,
    /// Posts them.
    pub http: reqwest::Client,
}

/// What an output was made of, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The record's offset.
    pub offset: i64,
    /// The processor that counted it: a partition that stayed with its process has the same one.
    pub life: u64,
    /// When it was counted, in milliseconds since the epoch.
    pub at_ms: i64,
}

impl Origin {
    /// As a header has it.
    pub fn bytes(self) -> Vec<u8> {
        [self.offset.to_be_bytes(), self.life.to_be_bytes(), self.at_ms.to_be_bytes()].concat()
    }

    /// Reads it off a header's value.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (offset, rest) = bytes.split_first_chunk()?;
        let (life, at_ms) = rest.split_first_chunk()?;
        Some(Self {
            offset: i64::from_be_bytes(*offset),
            life: u64::from_be_bytes(*life),
            at_ms: i64::from_be_bytes(at_ms.try_into().ok()?),
        })
    }
}

/// The time, in milliseconds since the epoch.
pub fn now_ms() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}

impl Worker for Counting {
    type Processor = Counts;
    type Sink = Outside;

    fn processor(&self, partition: &TopicPartition) -> Counts {
        use std::hash::{BuildHasher, RandomState};
        Counts {
            partition: partition.partition,
            output: self.output.clone(),
            life: RandomState::new().hash_one(partition),
            model: Model::default(),
            decisions: BTreeMap::new(),
            kept: VecDeque::new(),
            over: Vec::new(),
        }
    }

    fn sink(&self, _: usize) -> Outside {
        Outside { url: self.outside.clone(), http: self.http.clone(), body: String::new() }
    }
}

/// What records make of counts.
#[derive(Clone, Debug, Default)]
pub struct Model(HashMap<Vec<u8>, u64>);

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The key's count, from now on; 0 if it was forgotten.
    Changed(u64),
    /// Kept.
    Kept,
    /// Rejected.
    Malformed,
}

impl Model {
    /// Takes a record.
    pub fn take(&mut self, key: &[u8], value: &[u8]) -> Kind {
        match value.first() {
            Some(&COUNT) => match self.0.get_mut(key) {
                Some(count) => {
                    *count += 1;
                    Kind::Changed(*count)
                }
                None => {
                    self.0.insert(key.to_vec(), 1);
                    Kind::Changed(1)
                }
            },
            Some(&FORGET) => {
                self.0.remove(key);
                Kind::Changed(0)
            }
            Some(&KEEP) => Kind::Kept,
            _ => Kind::Malformed,
        }
    }

    /// Every key with its count.
    pub fn counts(&self) -> impl Iterator<Item = (&[u8], u64)> {
        self.0.iter().map(|(key, count)| (key.as_slice(), *count))
    }

    /// The changelog's own key and value of a count.
    pub fn entry(key: &[u8], count: u64) -> (Vec<u8>, Vec<u8>) {
        let mut value = vec![VERSION];
        value.extend_from_slice(&count.to_be_bytes());
        ([b"c", key].concat(), value)
    }
}

/// One partition's counts.
pub struct Counts {
    partition: i32,
    output: Arc<str>,
    life: u64,
    model: Model,
    decisions: BTreeMap<i64, bool>,
    kept: VecDeque<Kept>,
    /// Decisions that the next batch forgets: their records are committed before it or with it.
    over: Vec<i64>,
}

struct Kept {
    offset: i64,
    /// What a worker that keeps records keeps of them.
    value: Vec<u8>,
    hold: Hold,
    since_ms: Option<i64>,
}

/// A record that was decided.
#[derive(Clone, Copy, Debug)]
pub struct Decided {
    partition: i32,
    offset: i64,
    verdict: bool,
}

fn decision_key(offset: i64) -> Vec<u8> {
    [b"d", offset.to_be_bytes().as_slice()].concat()
}

impl Processor for Counts {
    type Out = Decided;

    fn restore(&mut self, key: &[u8], value: &[u8]) -> Result<(), StateError> {
        let unreadable = StateError::Malformed { len: value.len(), why: "neither a count nor a decision" };
        let Some((&version, value)) = value.split_first() else { return Err(unreadable) };
        if version != VERSION {
            return Err(StateError::Version { found: version.into(), known: VERSION.into() });
        }
        match (key.split_first(), value) {
            (Some((b'c', key)), count) => {
                let count = u64::from_be_bytes(count.try_into().map_err(|_| unreadable)?);
                self.model.0.insert(key.to_vec(), count);
            }
            (Some((b'd', offset)), [verdict]) => {
                let offset = i64::from_be_bytes(offset.try_into().map_err(|_| unreadable)?);
                self.decisions.insert(offset, *verdict == 1);
            }
            _ => return Err(unreadable),
        }
        Ok(())
    }

    fn process(&mut self, batch: &Batch, out: &mut Outbox<Decided>) {
        // What lies behind was committed by an earlier life, which did not come to forgetting it.
        let behind = self.decisions.split_off(&batch.first_offset());
        self.over.extend(std::mem::replace(&mut self.decisions, behind).into_keys());
        for offset in self.over.drain(..) {
            out.forget(decision_key(offset));
        }
        let at_ms = now_ms();
        for record in batch.records() {
            self.record(&record, at_ms, out);
        }
        while self.kept.len() > KEPT_MAX {
            // By how the records came: another life would decide otherwise.
            self.decide((batch.len() + self.kept.len()).is_multiple_of(2), out);
        }
    }

    fn tick(&mut self, now: Timestamp, memory: Memory, out: &mut Outbox<Decided>) {
        for kept in &mut self.kept {
            kept.since_ms.get_or_insert(now.0);
        }
        let due = |kept: &Kept| memory == Memory::Short || kept.since_ms.is_some_and(|since| now.0 - since >= KEPT_MS);
        while self.kept.front().is_some_and(due) {
            self.decide(now.0 % 2 == 0, out);
        }
    }
}

impl Counts {
    fn record(&mut self, record: &Record<'_>, at_ms: i64, out: &mut Outbox<Decided>) {
        let (key, value) = (record.key.unwrap_or_default(), record.value.unwrap_or_default());
        match self.model.take(key, value) {
            Kind::Changed(count) => {
                let (own, value) = Model::entry(key, count);
                let fits = if count == 0 {
                    out.forget(own);
                    true
                } else {
                    out.remember(own, value).is_ok()
                };
                let origin = Origin { offset: record.offset, life: self.life, at_ms };
                let output = Output {
                    topic: self.output.clone(),
                    partition: Some(self.partition),
                    key: Some(key.to_vec()),
                    value: Some(count.to_be_bytes().to_vec()),
                    headers: vec![(ORIGIN.to_owned(), origin.bytes())],
                };
                if !fits || out.produce(output).is_err() {
                    out.reject(record, "too_large", String::new());
                }
            }
            Kind::Kept => self.keep(record, out),
            Kind::Malformed => out.reject(record, MALFORMED, "of no known kind".to_owned()),
        }
    }

    fn keep(&mut self, record: &Record<'_>, out: &mut Outbox<Decided>) {
        let value = record.value.unwrap_or_default().to_vec();
        match self.decisions.remove(&record.offset) {
            Some(verdict) => {
                let decided = self.decided(record.offset, verdict);
                out.emit(record.offset, self.hash(), decided, size_of::<Decided>());
                self.over.push(record.offset);
            }
            None => {
                let hold = out.keep(value.len());
                self.kept.push_back(Kept { offset: record.offset, value, hold, since_ms: None });
            }
        }
    }

    /// Decides the oldest of what is kept.
    fn decide(&mut self, verdict: bool, out: &mut Outbox<Decided>) {
        let Some(Kept { offset, value, hold, .. }) = self.kept.pop_front() else { return };
        let item = Item { offset, value: self.decided(offset, verdict) };
        let released = Released { hold, items: vec![(self.hash(), item, size_of::<Decided>() + value.len())] };
        let journalled = out.journal(decision_key(offset), Some(vec![VERSION, u8::from(verdict)]), vec![released]);
        debug_assert!(journalled.is_ok(), "a decision is small");
        self.over.push(offset);
    }

    fn decided(&self, offset: i64, verdict: bool) -> Decided {
        Decided { partition: self.partition, offset, verdict }
    }

    fn hash(&self) -> u64 {
        u64::from(self.partition.unsigned_abs()).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

/// Posts decided records, a line each.
pub struct Outside {
    url: String,
    http: reqwest::Client,
    body: String,
}

/// The outside did not take them.
#[derive(Debug, thiserror::Error)]
#[error("{url} did not take what was decided")]
pub struct NotTaken {
    url: String,
    source: reqwest::Error,
}

impl Failure for NotTaken {
    fn next(&self) -> Next {
        Next::Retry { after: None }
    }
}

impl Sink for Outside {
    type Out = Decided;
    type Error = NotTaken;

    fn pack(&mut self, items: &[Item<Decided>]) -> usize {
        self.body.clear();
        for Item { value: Decided { partition, offset, verdict }, .. } in items {
            writeln!(self.body, "{partition} {offset} {verdict}").ok(); // a string takes everything
        }
        items.len()
    }

    async fn deliver(&mut self) -> Result<(), NotTaken> {
        let answer = self.http.post(&self.url).body(self.body.clone()).send().await;
        let taken = answer.and_then(reqwest::Response::error_for_status);
        taken.map(drop).map_err(|source| NotTaken { url: self.url.clone(), source })
    }
}
