//! The simulated cluster: logs, committed offsets, transactions and their coordinator.
//!
//! What happens by itself (markers, timeouts, rebalances) stands in a queue by time and is done as
//! soon as anybody looks.

use std::collections::{BTreeMap, BTreeSet};

use weir_contract::{Output, TopicPartition};
use weir_kafka::Class;

use super::State;
use super::check::{LARGEST_OUTPUT_BYTES, LARGEST_STATE_BYTES};
use super::group::{Consumer, Group};
use super::log::{Log, Record};
use super::scenario::Scenario;

/// A log, by its index.
pub(crate) type P = usize;
/// A client, by its index.
pub(crate) type C = usize;

/// After so long the coordinator aborts an open transaction, in milliseconds.
const TRANSACTION_TIMEOUT_MS: u64 = 10_000;
/// What Kafka adds to a record that is alone in its batch, in bytes.
const BATCH_HEADER_BYTES: usize = 61;

pub(crate) const OUT: &str = "out";
pub(crate) const DEAD: &str = "dead";
pub(crate) const STATE: &str = "state";

/// A call's failure: what follows from it, and why.
pub(crate) type Failed = (Class, &'static str);

pub(crate) struct Cluster {
    pub logs: Vec<Log>,
    ids: BTreeMap<TopicPartition, P>,
    /// The logs of the source topics.
    pub sources: Vec<P>,
    /// What the group has committed, once the markers say so.
    pub offsets: BTreeMap<P, (i64, String)>,
    producers: BTreeMap<String, Producer>,
    /// How transactions have been decided.
    pub outcomes: BTreeMap<u64, bool>,
    pub clients: Vec<Consumer>,
    pub group: Group,
    due: BTreeMap<(u64, u64), Event>,
    scheduled: u64,
    last_txn: u64,
}

/// What the transaction coordinator knows of a transactional ID.
#[derive(Default)]
struct Producer {
    epoch: u32,
    current: Option<Txn>,
}

pub(crate) struct Txn {
    pub id: u64,
    partitions: BTreeSet<P>,
    pub written: Vec<(P, i64)>,
    pub offsets: BTreeMap<P, (i64, String)>,
    /// Once it is decided: how, and how many markers are still to be written.
    ending: Option<(bool, usize)>,
}

/// What happens by itself.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// A transaction's marker is written; of the offsets, where no log is named.
    Marker {
        tid: String,
        place: Option<P>,
    },
    /// The same, of an application that produces to a source.
    SourceMarker {
        txn: u64,
        log: P,
        commit: bool,
    },
    TransactionTimeout {
        tid: String,
        txn: u64,
    },
    Join(C),
    Rejoin(C, u32),
    Notice(C, u32),
    JoinDeadline {
        round: u64,
    },
    Sync {
        client: C,
        member: u32,
        generation: i32,
        list: Vec<P>,
    },
    SessionTimeout {
        client: C,
        stamp: u64,
    },
    Discover(C, u32),
}

impl Cluster {
    pub fn new(scenario: &Scenario) -> Self {
        let most = scenario.sources.iter().map(|(_, partitions)| *partitions).max().unwrap_or(1);
        let others = [(OUT, 2), (DEAD, 1), (STATE, most)].map(|(name, partitions)| (name.into(), partitions));
        let mut logs = Vec::new();
        for (topic, partitions) in scenario.sources.iter().chain(&others) {
            logs.extend((0..*partitions).map(|partition| Log::new(TopicPartition::new(topic.clone(), partition))));
        }
        let ids: BTreeMap<_, _> = logs.iter().enumerate().map(|(index, log)| (log.id.clone(), index)).collect();
        let count: i32 = scenario.sources.iter().map(|(_, partitions)| *partitions).sum();
        Self {
            sources: (0..usize::try_from(count).unwrap_or(0)).collect(),
            logs,
            ids,
            offsets: BTreeMap::new(),
            producers: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            clients: Vec::new(),
            group: Group::new(scenario.next_protocol),
            due: BTreeMap::new(),
            scheduled: 0,
            last_txn: 0,
        }
    }

    /// Adds a partition to a topic.
    pub fn grow(&mut self, topic: &str) -> P {
        let partition = i32::try_from(self.of_topic(topic).len()).unwrap_or(0);
        let (id, index) = (TopicPartition::new(topic, partition), self.logs.len());
        self.ids.insert(id.clone(), index);
        self.logs.push(Log::new(id));
        index
    }

    pub fn index(&self, id: &TopicPartition) -> P {
        self.ids[id]
    }

    pub fn of_topic(&self, topic: &str) -> Vec<P> {
        self.ids.iter().filter(|(id, _)| &*id.topic == topic).map(|(_, index)| *index).collect()
    }

    pub fn new_txn(&mut self) -> u64 {
        self.last_txn += 1;
        self.last_txn
    }

    /// Whether a transaction is pending on the group's offset of the partition.
    pub fn is_pending(&self, source: P) -> bool {
        self.producers
            .values()
            .filter_map(|producer| producer.current.as_ref())
            .any(|txn| txn.offsets.contains_key(&source))
    }

    /// Whether nothing is left to happen with transactions.
    pub fn is_settled(&self) -> bool {
        self.producers.values().all(|producer| producer.current.is_none())
    }

    /// Where an output goes: to its own partition, or the key's.
    fn route(&self, output: &Output) -> P {
        let partition = output.partition.unwrap_or_else(|| {
            let all = self.of_topic(&output.topic).len().max(1);
            let key = output.key.as_ref().and_then(|key| key.first()).copied().unwrap_or(0);
            i32::try_from(usize::from(key) % all).unwrap_or(0)
        });
        self.index(&TopicPartition::new(output.topic.clone(), partition))
    }
}

impl State {
    pub fn schedule(&mut self, in_ms: u64, event: Event) {
        let at = self.now() + in_ms;
        self.kafka.scheduled += 1;
        self.kafka.due.insert((at, self.kafka.scheduled), event);
    }

    /// Does what is due.
    pub fn advance(&mut self) {
        let now = self.now();
        while let Some(first) = self.kafka.due.first_entry()
            && first.key().0 <= now
        {
            let event = first.remove();
            self.happen(event);
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Marker { tid, place } => self.marker(&tid, place),
            Event::SourceMarker { txn, log, commit } => self.kafka.logs[log].mark(txn, commit),
            Event::TransactionTimeout { tid, txn } => {
                let producer = &self.kafka.producers[&tid];
                if producer.current.as_ref().is_some_and(|current| current.id == txn && current.ending.is_none()) {
                    self.covers("a transaction that times out");
                    self.note("kafka", || format!("transaction {txn} times out"));
                    self.fence(&tid);
                    self.decide(&tid, false);
                }
            }
            event => self.group_event(event),
        }
    }

    fn marker(&mut self, tid: &str, place: Option<P>) {
        let Some(producer) = self.kafka.producers.get_mut(tid) else { return };
        let Some(txn) = &mut producer.current else { return };
        let Some((commit, left)) = &mut txn.ending else { return };
        let commit = *commit;
        *left -= 1;
        let done = *left == 0;
        let id = txn.id;
        match place {
            Some(log) => self.kafka.logs[log].mark(id, commit),
            None => {
                let offsets = std::mem::take(&mut txn.offsets);
                if commit {
                    self.kafka.offsets.extend(offsets);
                }
            }
        }
        if done {
            producer.current = None;
        }
        let place = place.map_or("the offsets".to_owned(), |log| self.kafka.logs[log].id.to_string());
        self.note("kafka", || format!("transaction {id}: marker in {place}"));
    }

    fn fence(&mut self, tid: &str) {
        if let Some(producer) = self.kafka.producers.get_mut(tid) {
            producer.epoch += 1;
        }
    }

    /// Decides the current transaction, from when on it only takes time.
    fn decide(&mut self, tid: &str, commit: bool) {
        let Some(mut txn) = self.kafka.producers.get_mut(tid).and_then(|producer| producer.current.take()) else {
            return;
        };
        self.kafka.outcomes.insert(txn.id, commit);
        let id = txn.id;
        self.note("kafka", || format!("transaction {id} is {}", if commit { "committed" } else { "aborted" }));
        if commit {
            self.check_commit(&txn);
        }
        let mut places: Vec<Option<P>> = txn.partitions.iter().copied().map(Some).collect();
        if !txn.offsets.is_empty() {
            places.push(None);
        }
        txn.ending = Some((commit, places.len()));
        let open = (!places.is_empty()).then_some(txn);
        if let Some(producer) = self.kafka.producers.get_mut(tid) {
            producer.current = open;
        }
        for place in places {
            let late = self.scenario.latency.marker_ms;
            let in_ms = if late > 0 && self.rng.chance(500) { self.rng.below(late) } else { 0 };
            if in_ms > 0 {
                self.covers("a marker that comes late");
            }
            if in_ms == 0 {
                self.marker(tid, place);
            } else {
                self.schedule(in_ms, Event::Marker { tid: tid.to_owned(), place });
            }
        }
    }

    /// Fences earlier clients of the same transactional ID, and ends what they left open.
    pub fn init_producer(&mut self, client: C) -> Result<(), Failed> {
        let tid = self.kafka.clients[client].tid.clone();
        let producer = self.kafka.producers.entry(tid.clone()).or_default();
        match producer.current.as_ref().map(|txn| txn.ending) {
            None => {
                producer.epoch += 1;
                self.kafka.clients[client].epoch = producer.epoch;
                Ok(())
            }
            Some(ending) => {
                if ending.is_none() {
                    self.covers("a transaction of a dead owner that the next one aborts");
                    self.fence(&tid);
                    self.decide(&tid, false);
                }
                Err((Class::Retriable, "CONCURRENT_TRANSACTIONS"))
            }
        }
    }

    /// Whether another client has taken the transactional ID since, so that this one commits nothing
    /// any more.
    pub fn is_fenced(&self, client: C) -> bool {
        let client = &self.kafka.clients[client];
        self.kafka.producers.get(&client.tid).is_some_and(|producer| producer.epoch != client.epoch)
    }

    /// Whether the coordinator is still ending the transaction before this client's.
    pub fn is_ending_another(&self, client: C) -> bool {
        let client = &self.kafka.clients[client];
        let current = self.kafka.producers.get(&client.tid).and_then(|producer| producer.current.as_ref());
        current.is_some_and(|txn| txn.ending.is_some() && Some(txn.id) != client.txn)
    }

    /// The client's transaction at the coordinator, from its first record or offset on.
    fn ongoing(&mut self, client: C) -> Result<&mut Txn, Failed> {
        let (tid, epoch, id) = {
            let client = &self.kafka.clients[client];
            (client.tid.clone(), client.epoch, client.txn.ok_or((Class::Fatal, "no transaction"))?)
        };
        let known = self.kafka.producers.get(&tid).ok_or((Class::Fatal, "not initialised"))?;
        if known.epoch != epoch {
            return Err((Class::Fatal, "PRODUCER_FENCED"));
        }
        if known.current.is_none() {
            if self.kafka.outcomes.contains_key(&id) {
                return Err((Class::Fatal, "INVALID_TXN_STATE"));
            }
            self.schedule(TRANSACTION_TIMEOUT_MS, Event::TransactionTimeout { tid: tid.clone(), txn: id });
        }
        let producer = self.kafka.producers.entry(tid).or_default();
        let txn = producer.current.get_or_insert_with(|| Txn {
            id,
            partitions: BTreeSet::new(),
            written: Vec::new(),
            offsets: BTreeMap::new(),
            ending: None,
        });
        if txn.id != id || txn.ending.is_some() {
            return Err((Class::Fatal, "INVALID_TXN_STATE"));
        }
        Ok(txn)
    }

    pub fn append(&mut self, client: C, output: &Output) -> Result<(), Failed> {
        let log = self.kafka.route(output);
        let timestamp_ms = i64::try_from(self.now()).unwrap_or(i64::MAX);
        let id = self.ongoing(client)?.id;
        let record = Record {
            timestamp_ms,
            key: output.key.clone(),
            value: output.value.clone(),
            headers: output.headers.clone(),
        };
        let limit = match &*output.topic {
            DEAD => self.scenario.dead_letter_max_bytes - BATCH_HEADER_BYTES,
            OUT => LARGEST_OUTPUT_BYTES - BATCH_HEADER_BYTES,
            _ => LARGEST_STATE_BYTES - BATCH_HEADER_BYTES,
        };
        if output.weight() > limit {
            let (bytes, topic) = (output.weight(), &output.topic);
            self.violated(format!("a record of {bytes} bytes is over the limit of {topic}, {limit} bytes"));
        }
        let at = self.kafka.logs[log].append(Some(id), record);
        let txn = self.ongoing(client)?;
        txn.partitions.insert(log);
        txn.written.push((log, at));
        let (who, place) = (self.kafka.clients[client].name.clone(), self.kafka.logs[log].id.clone());
        self.note(who, || format!("transaction {id}: record in {place} at {at}"));
        Ok(())
    }

    /// Adds offsets to the transaction, if the group still knows who vouches for them.
    pub fn add_offsets(
        &mut self,
        client: C,
        offsets: &[(P, i64, String)],
        member: u32,
        generation: i32,
    ) -> Result<(), Failed> {
        let id = self.ongoing(client)?.id;
        let who = self.kafka.clients[client].name.clone();
        if !self.kafka.group.knows(member, generation) {
            self.covers("a commit after a rebalance, refused");
            self.note(who, || format!("transaction {id}: offsets refused, of generation {generation}"));
            return Err((Class::Abortable, "ILLEGAL_GENERATION"));
        }
        for (source, offset, metadata) in offsets {
            self.check_owner(*source, member, id);
            self.ongoing(client)?.offsets.insert(*source, (*offset, metadata.clone()));
            let place = self.kafka.logs[*source].id.clone();
            self.note(&who, || format!("transaction {id}: offset {offset} of {place}"));
        }
        Ok(())
    }

    /// Ends the client's transaction; a repetition gets the same answer.
    pub fn end(&mut self, client: C, commit: bool) -> Result<(), Failed> {
        let (tid, epoch, id) = {
            let client = &self.kafka.clients[client];
            (client.tid.clone(), client.epoch, client.txn.ok_or((Class::Fatal, "no transaction"))?)
        };
        let known = self.kafka.producers.get(&tid).ok_or((Class::Fatal, "not initialised"))?;
        if known.epoch != epoch {
            return Err((Class::Fatal, "PRODUCER_FENCED"));
        }
        match self.kafka.outcomes.get(&id) {
            Some(decided) if *decided == commit => Ok(()),
            Some(_) => Err((Class::Fatal, "INVALID_TXN_STATE")),
            None => {
                if known.current.as_ref().is_some_and(|txn| txn.id == id) {
                    self.decide(&tid, commit);
                }
                Ok(())
            }
        }
    }
}
