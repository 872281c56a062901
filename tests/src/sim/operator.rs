//! What the operator and the world do: write, start, stop, kill, freeze, take away, move by hand.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::task::LocalSet;
use tokio::time::sleep;
use weir_contract::TopicPartition;

use super::State;
use super::check::LARGEST_RECORD_BYTES;
use super::client::SimClient;
use super::group::SESSION_TIMEOUT_MS;
use super::kafka::{Event, P, STATE};
use super::log::Record;
use super::model::{FOR_GROUP, GROUP, Kind};
use super::run::{Call, Driver, Running, setup};
use super::worker::TestWorker;

/// After so many source records no more are written while things go wrong.
const RECORDS: usize = 120;
/// A topic has no more partitions than that.
const PARTITIONS: usize = 6;

impl Driver {
    pub fn act(&mut self) {
        let what = {
            let mut state = self.world.lock();
            let actions = &state.scenario.actions;
            let weights = [
                actions.produce,
                actions.start,
                actions.stop,
                actions.crash,
                actions.freeze,
                actions.lose,
                actions.retention,
                actions.compact,
                actions.grow,
                actions.reset,
            ];
            draw(&mut state, &weights)
        };
        match what {
            1 => self.start(),
            2 => self.with_one(|driver, instance| driver.stop(instance)),
            3 => self.with_one(Self::crash),
            4 => self.with_one(Self::freeze),
            5 => self.lose(),
            6 => self.retain(),
            7 => self.compact(),
            8 => self.grow(),
            9 => self.called = Some(Call::Reset),
            _ => self.produce(),
        }
    }

    pub fn running(&self) -> usize {
        self.slots.borrow().iter().flatten().count()
    }

    /// Starts an instance in the first free place, now and then with another one's instance ID.
    pub fn start(&mut self) {
        let free = self.slots.borrow().iter().position(Option::is_none);
        let Some(instance) = free else { return };
        let mut state = self.world.lock();
        let twin = state.scenario.twins && !state.calm && state.rng.chance(300);
        let instances = state.scenario.instances;
        let identity = if twin { state.rng.index(instances) } else { instance };
        state.note("operator", || format!("starts i{instance} as id{identity}"));
        let setup = setup(&mut state, instance);
        drop(state);
        let (stop, stopped) = watch::channel(false);
        let (tell, ended) = oneshot::channel();
        let status = setup.status.clone();
        let tasks = LocalSet::new();
        let world = self.world.clone();
        tasks.spawn_local(async move {
            let worker = Arc::new(TestWorker { world: world.clone(), instance });
            let connect = || SimClient::connect(&world, instance, identity);
            tell.send(weir_runtime::run(worker, setup, connect, stopped).await).ok();
        });
        let running = Running { tasks, frozen: false, identity, stop, stopped_ms: None, ended, status };
        self.slots.borrow_mut()[instance] = Some(running);
    }

    fn with_one(&mut self, act: impl FnOnce(&mut Self, usize)) {
        let running: Vec<_> =
            self.slots.borrow().iter().enumerate().filter(|(_, slot)| slot.is_some()).map(|(index, _)| index).collect();
        if running.is_empty() {
            return;
        }
        let at = self.world.lock().rng.index(running.len());
        act(self, running[at]);
    }

    pub fn stop(&self, instance: usize) {
        let mut state = self.world.lock();
        if let Some(running) = &mut self.slots.borrow_mut()[instance]
            && running.stopped_ms.is_none()
        {
            state.note("operator", || format!("stops i{instance}"));
            running.stop.send(true).ok();
            running.stopped_ms = Some(state.now());
        }
    }

    pub fn stop_all(&self) {
        let count = self.slots.borrow().len();
        (0..count).for_each(|instance| self.stop(instance));
    }

    /// Ends those that were started with another one's instance ID.
    pub fn end_twins(&mut self) {
        let slots = self.slots.borrow();
        let twins = slots.iter().enumerate().filter(|(at, slot)| slot.as_ref().is_some_and(|one| one.identity != *at));
        let twins: Vec<_> = twins.map(|(at, _)| at).collect();
        drop(slots);
        for instance in twins {
            self.crash(instance);
        }
    }

    fn crash(&mut self, instance: usize) {
        let Some(gone) = self.slots.borrow_mut()[instance].take() else { return };
        drop(gone);
        self.thaws.retain(|(_, frozen), ()| *frozen != instance);
        let mut state = self.world.lock();
        state.covers("a process that is killed");
        state.note("operator", || format!("kills i{instance}"));
        state.model.budgets.remove(&instance); // what it holds dies with it
        state.fall_silent(instance, true);
    }

    fn freeze(&mut self, instance: usize) {
        let mut state = self.world.lock();
        if let Some(running) = &mut self.slots.borrow_mut()[instance]
            && !running.frozen
        {
            running.frozen = true;
            let for_ms = if state.rng.chance(500) { state.rng.below(3_000) } else { state.rng.below(20_000) };
            if for_ms > SESSION_TIMEOUT_MS {
                state.covers("a process that is stopped past its session timeout");
            }
            state.note("operator", || format!("stops the process of i{instance} for {for_ms} ms"));
            state.fall_silent(instance, false);
            let at = state.now() + for_ms;
            self.thaws.insert((at, instance), ());
        }
    }

    pub fn thaw(&self, instance: usize) {
        if let Some(running) = &mut self.slots.borrow_mut()[instance] {
            running.frozen = false;
            let mut state = self.world.lock();
            state.note("operator", || format!("lets the process of i{instance} go on"));
            state.thaw(instance);
        }
    }

    /// Somebody's heartbeats get lost for long enough.
    fn lose(&self) {
        let mut state = self.world.lock();
        let members: Vec<u32> = state.kafka.clients.iter().filter_map(|client| client.member).collect();
        if !members.is_empty() {
            let at = state.rng.index(members.len());
            state.kick(members[at], "its heartbeats were lost");
        }
    }

    /// Removes the head of a log: what is committed, and sometimes what nobody has read.
    fn retain(&self) {
        let mut state = self.world.lock();
        let source = any_source(&mut state);
        let committed = state.model.committed(source);
        let log = &state.kafka.logs[source];
        let (low, end) = (log.low, if state.scenario.losing { log.stable() } else { committed.min(log.stable()) });
        let most = u64::try_from(end - low).unwrap_or(0);
        let low = low + i64::try_from(state.rng.below(most + 1)).unwrap_or(0);
        state.kafka.logs[source].low = low;
        state.note("kafka", || format!("retention: {source} begins at {low}"));
        let had = state.model.committed.contains_key(&source);
        state.model.remove(source, committed, low, had);
    }

    fn compact(&self) {
        let mut state = self.world.lock();
        for log in state.kafka.of_topic(STATE) {
            let tombstones = state.kafka.logs[log].compact();
            let id = state.kafka.logs[log].id.clone();
            state.note("kafka", || format!("compacts {id}, {tombstones} tombstones are gone"));
            if tombstones > 0 {
                state.covers("a compaction that removes tombstones");
            }
        }
    }

    /// Adds a partition to a source topic, its changelog first.
    fn grow(&self) {
        let mut state = self.world.lock();
        let topics = state.scenario.sources.len();
        let at = state.rng.index(topics);
        let topic = state.scenario.sources[at].0.clone();
        let count = state.kafka.of_topic(&topic).len();
        if count >= PARTITIONS {
            return;
        }
        if state.kafka.of_topic(STATE).len() <= count {
            state.kafka.grow(STATE);
        }
        let source = state.kafka.grow(&topic);
        state.kafka.sources.push(source);
        state.covers("a partition that is added");
        let first = state.kafka.index(&TopicPartition::new(topic.clone(), 0));
        if state.kafka.offsets.get(&first).is_some_and(|(_, metadata)| !metadata.is_empty()) {
            state.model.added.insert(source);
        }
        state.note("operator", || format!("adds partition {source} to {topic}"));
        state.regroup();
    }

    /// Does what can only be done while nobody runs.
    pub async fn answer_calls(&mut self) {
        let Some(call) = self.called else { return };
        if self.world.lock().rng.chance(500) {
            self.stop_all();
            self.until_stopped().await;
        }
        let all = self.slots.borrow().len();
        (0..all).for_each(|instance| self.crash(instance));
        while self.look() && !self.world.lock().is_deserted() {
            sleep(Duration::from_millis(500)).await;
        }
        match call {
            Call::Reset => self.world.lock().reset(),
            Call::Help => self.world.lock().help(),
        }
        self.called = None;
        self.start();
    }

    /// An application writes a few records, in a transaction or not.
    pub fn produce(&self) {
        let mut state = self.world.lock();
        if !state.calm && state.model.sources.values().map(BTreeMap::len).sum::<usize>() > RECORDS {
            return;
        }
        let source = any_source(&mut state);
        let txn = state.rng.chance(150).then(|| (state.kafka.new_txn(), state.rng.chance(600)));
        let count = state.rng.between(1, 6);
        for _ in 0..count {
            produce_one(&mut state, source, txn);
        }
        let end = state.kafka.logs[source].high();
        state.note("application", || format!("writes {count} records to {source}, up to {end}, transaction {txn:?}"));
        if let Some((txn, commit)) = txn {
            let in_ms = state.rng.below(600);
            state.schedule(in_ms, Event::SourceMarker { txn, log: source, commit });
        }
    }
}

impl State {
    /// Whether the group has no member and no transaction is under way.
    fn is_deserted(&self) -> bool {
        self.kafka.group.members.is_empty() && self.kafka.is_settled()
    }

    /// Moves the group's offset of a partition: back, on, or away; or loses a changelog.
    fn reset(&mut self) {
        let source = any_source(self);
        let Some(committed) = self.kafka.offsets.get(&source).map(|(offset, _)| *offset) else { return };
        let log = &self.kafka.logs[source];
        let (low, end) = (log.low, log.stable());
        if self.scenario.state && self.rng.chance(250) {
            return self.lose_changelog(source);
        }
        let to = match self.rng.below(3) {
            0 => None,
            1 if committed > low => Some(low + self.up_to(committed - low)),
            _ if end > committed => Some(committed + 1 + self.up_to(end - committed)),
            _ => return,
        };
        self.note("operator", || format!("moves the offset of {source} from {committed} to {to:?}"));
        self.covers(match to {
            None => "an offset that expires",
            Some(to) if to < committed => "an offset that is set back",
            Some(_) => "an offset that is set on",
        });
        self.lose_mark(source);
        match to {
            None => drop(self.kafka.offsets.remove(&source)),
            Some(to) => drop(self.kafka.offsets.insert(source, (to, String::new()))),
        }
        match self.state_position(source) {
            None => self.take_as_it_is(source),
            // Back to where the state is.
            position if position == to => drop(self.model.apart.remove(&source)),
            Some(_) => drop(self.model.apart.insert(source)),
        }
    }

    /// What was committed beside a partition's offset is gone: of a topic's first one, how many there were.
    fn lose_mark(&mut self, source: P) {
        let logs = &self.kafka.logs;
        if logs[source].id.partition == 0 {
            self.model.added.retain(|added| logs[*added].id.topic != logs[source].id.topic);
        }
    }

    /// Which offset a partition's state belongs to, as the changelog says.
    fn state_position(&self, source: P) -> Option<i64> {
        let key = format!("p{}\0", self.kafka.logs[source].id.topic);
        let records = self.kafka.logs[self.changelog_of(source)].committed();
        let last = records.filter(|(_, record)| record.key.as_deref() == Some(key.as_bytes())).last();
        let (_, value) = last?.1.value.as_ref()?.split_first()?;
        Some(i64::from_be_bytes(value.try_into().ok()?))
    }

    /// What the changelog has of a partition: tombstones too.
    fn state_keys(&self, source: P) -> Vec<Vec<u8>> {
        let id = &self.kafka.logs[source].id;
        let own = format!("{}\0", id.topic);
        let is_own = |key: &Vec<u8>| key.get(1..).is_some_and(|rest| rest.starts_with(own.as_bytes()));
        let records = self.kafka.logs[self.changelog_of(source)].committed();
        records.filter_map(|(_, record)| record.key.clone()).filter(is_own).collect()
    }

    fn changelog_of(&self, source: P) -> P {
        let number = self.kafka.logs[source].id.partition;
        self.kafka.index(&TopicPartition::new(STATE, number))
    }

    /// Below that, from 0.
    fn up_to(&mut self, limit: i64) -> i64 {
        i64::try_from(self.rng.below(limit.unsigned_abs())).unwrap_or(0)
    }

    /// The changelog of a partition is deleted and created again, empty, and with it that of every
    /// partition of the same number.
    fn lose_changelog(&mut self, source: P) {
        let changelog = self.changelog_of(source);
        self.note("operator", || format!("loses the changelog of {source}"));
        self.covers("a changelog that is lost");
        self.kafka.logs[changelog].lose();
        for source in self.kafka.sources.clone() {
            if self.changelog_of(source) != changelog {
                continue;
            }
            match self.kafka.offsets.get(&source) {
                Some((_, metadata)) if metadata.contains("state") => drop(self.model.apart.insert(source)),
                // An offset that was put there by hand says nothing of a state.
                Some(_) => self.take_as_it_is(source),
                // The offset was lost before: nothing is left, and the group begins anew.
                None if self.model.apart.contains(&source) => self.take_as_it_is(source),
                None => {}
            }
        }
    }

    /// What the group says is what is wanted from now on.
    fn take_as_it_is(&mut self, source: P) {
        let to = self.kafka.offsets.get(&source).map(|(offset, _)| *offset);
        self.model.set_back(source, to);
        self.model.apart.remove(&source);
        self.model.begins.insert(source, to.unwrap_or(0));
        let (low, end) = (self.kafka.logs[source].low, self.kafka.logs[source].high());
        self.model.ends.insert(source, end);
        self.model.remove(source, to.unwrap_or(low), low, true);
    }

    /// Helps partitions that refuse to open: puts the offset back, or drops the state.
    fn help(&mut self) {
        for source in std::mem::take(&mut self.model.apart) {
            let id = self.kafka.logs[source].id.clone();
            let (changelog, keys) = (self.changelog_of(source), self.state_keys(source));
            if self.state_position(source).is_some() && self.rng.chance(400) {
                let committed = self.model.committed(source);
                self.note("operator", || format!("puts the offset of {id} back to {committed}"));
                self.lose_mark(source);
                self.kafka.offsets.insert(source, (committed, String::new()));
                continue;
            }
            self.note("operator", || format!("drops the state of {id}"));
            self.lose_mark(source);
            for key in keys {
                let record = Record { timestamp_ms: 0, key: Some(key), value: None, headers: Vec::new() };
                self.kafka.logs[changelog].append(None, record);
            }
            if let Some((_, metadata)) = self.kafka.offsets.get_mut(&source) {
                metadata.clear();
            }
            self.take_as_it_is(source);
        }
    }
}

fn any_source(state: &mut State) -> P {
    let at = state.rng.index(state.kafka.sources.len());
    state.kafka.sources[at]
}

/// An index of what was drawn by weight.
fn draw(state: &mut State, weights: &[u64]) -> usize {
    let mut drawn = state.rng.below(weights.iter().sum());
    let found = weights.iter().position(|weight| {
        let found = drawn < *weight;
        drawn = drawn.saturating_sub(*weight);
        found
    });
    found.unwrap_or(0)
}

fn produce_one(state: &mut State, source: P, txn: Option<(u64, bool)>) {
    let weights = state.scenario.kinds.clone();
    let kind = draw(state, &weights);
    let items = u8::try_from(state.rng.between(1, 3)).unwrap_or(1);
    let key = u8::try_from(state.rng.below(3)).unwrap_or(0);
    let mut value = vec![u8::try_from(kind).unwrap_or(0), items, key];
    let more = if state.rng.chance(50) { LARGEST_RECORD_BYTES - 20 } else { 40 };
    value.resize(3 + state.rng.index(more), b'x');
    let mut headers = if state.rng.chance(200) { vec![("own".to_owned(), vec![key])] } else { Vec::new() };
    if Kind::ALL[kind] == Kind::Nothing && state.rng.chance(300) {
        let group = if state.rng.chance(500) { GROUP } else { "another" };
        headers.push((FOR_GROUP.to_owned(), group.into()));
        state.covers("a redriven record");
    }
    let timestamp_ms = i64::try_from(state.now()).unwrap_or(0);
    let record = Record { timestamp_ms, key: state.rng.chance(700).then(|| vec![key]), value: Some(value), headers };
    let offset = state.kafka.logs[source].append(txn.map(|(txn, _)| txn), record.clone());
    if txn.is_none_or(|(_, commit)| commit) {
        state.model.produced(source, offset, (Kind::ALL[kind], items, key), record);
    }
}
