//! A client of the simulated cluster. Every call takes a while, drawn from the seed, before and
//! after it has an effect, so that whatever can come between comes between.

use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::sleep;
use weir_contract::{Output, TopicPartition};
use weir_kafka::{Class, Client, ClientError, Committed, Isolation, Offset, Rebalance, Take, TopicNow};

use super::fetch::give;
use super::group::{Change, Fetch};
use super::kafka::{C, Failed, P};
use super::{Mutation, State, World};

pub(crate) struct SimClient {
    world: World,
    client: C,
}

impl SimClient {
    /// Connects a new client of an instance, which may fail.
    pub fn connect(world: &World, instance: usize, identity: usize) -> Result<Self, ClientError> {
        let mut state = world.lock();
        if state.fault(20) {
            return Err(failed("connect", (Class::Fatal, "no broker")));
        }
        let client = state.connect(instance, identity);
        Ok(Self { world: world.clone(), client })
    }

    /// Takes its time.
    async fn pass(&self) {
        let ms = {
            let mut state = self.world.lock();
            let (some, long, long_ms) =
                (state.scenario.latency.some, state.scenario.latency.long, state.scenario.latency.long_ms);
            if state.fault(long) {
                state.rng.below(long_ms)
            } else if state.rng.chance(some) {
                state.rng.between(0, 15)
            } else {
                return;
            }
        };
        if ms == 0 {
            yield_now().await;
        } else {
            sleep(Duration::from_millis(ms)).await;
        }
    }

    /// One call: its way there, its effect (unless it is lost on the way), and its way back (unless
    /// the answer is lost).
    async fn call<T>(
        &self,
        call: &'static str,
        effect: impl FnOnce(&mut State, C) -> Result<T, Failed>,
    ) -> Result<T, ClientError> {
        self.pass().await;
        let answer = {
            let mut state = self.look(call)?;
            let rates = (state.scenario.faults.retriable, state.scenario.faults.lost_answer);
            if state.fault(rates.0) {
                self.say(&mut state, call, "request lost");
                return Err(failed(call, (Class::Retriable, "request lost")));
            }
            let answer = effect(&mut state, self.client);
            if let Err((_, why)) = &answer {
                self.say(&mut state, call, why);
            }
            if answer.is_ok() && (state.fault(rates.1) || state.drill && state.rng.chance(100)) {
                if call == "commit" {
                    state.covers("an end of a transaction whose answer is lost");
                }
                self.say(&mut state, call, "answer lost");
                Err((Class::Retriable, "answer lost"))
            } else {
                answer
            }
        };
        self.pass().await;
        answer.map_err(|error| failed(call, error))
    }

    /// The world as it is now, while the client is one.
    fn look(&self, call: &'static str) -> Result<parking_lot::MutexGuard<'_, State>, ClientError> {
        let mut state = self.world.lock();
        state.advance();
        if !state.kafka.clients[self.client].alive {
            return Err(failed(call, (Class::Fatal, "closed")));
        }
        Ok(state)
    }

    fn say(&self, state: &mut State, call: &str, what: &str) {
        let name = state.kafka.clients[self.client].name.clone();
        state.note(name, || format!("{call}: {what}"));
    }

    /// Waits until the transaction before is over, as the producer does by itself.
    async fn until_ended(&self, call: &'static str) -> Result<(), ClientError> {
        while self.look(call)?.is_ending_another(self.client) {
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// A fault of a call that can break a transaction or the client.
    fn break_down(&self, call: &'static str) -> Result<(), ClientError> {
        let mut state = self.look(call)?;
        let (abortable, fatal) = (state.scenario.faults.abortable, state.scenario.faults.fatal);
        for (rate, class) in [(abortable, Class::Abortable), (fatal, Class::Fatal)] {
            if state.fault(rate) {
                self.say(&mut state, call, if class == Class::Fatal { "fatal" } else { "abortable" });
                return Err(failed(call, (class, "a fault")));
            }
        }
        Ok(())
    }

    /// Sends what the producer has queued.
    async fn flush(&self, call: &'static str) -> Result<(), ClientError> {
        loop {
            self.until_ended(call).await?;
            {
                let mut state = self.look(call)?;
                let Some(output) = state.kafka.clients[self.client].queue.pop_front() else { return Ok(()) };
                state.append(self.client, &output).map_err(|error| failed(call, error))?;
            }
            self.pass().await;
        }
    }

    async fn end(&self, call: &'static str, commit: bool) -> Result<(), ClientError> {
        self.call(call, |state, client| {
            state.end(client, commit)?;
            Ok(())
        })
        .await?;
        self.world.lock().kafka.clients[self.client].txn = None;
        Ok(())
    }
}

fn failed(call: &'static str, (class, why): Failed) -> ClientError {
    ClientError { call, why: why.to_owned(), class }
}

/// A reader on its way through a log: what it has yet to see stays there.
struct Reading<'w> {
    world: &'w World,
    log: P,
}

impl<'w> Reading<'w> {
    fn begin(world: &'w World, log: P) -> Self {
        world.lock().kafka.logs[log].readers += 1;
        Self { world, log }
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        let readers = &mut self.world.lock().kafka.logs[self.log].readers;
        *readers = readers.saturating_sub(1);
    }
}

impl Client for SimClient {
    /// Member and generation.
    type Group = (u32, i32);

    async fn poll(&self, wait: Duration, mut take: Take<'_>) -> Result<Option<Rebalance>, ClientError> {
        let pause = {
            let mut state = self.look("poll")?;
            state.check_budget(self.client);
            if state.has_something(self.client) { Duration::from_millis(state.rng.below(6)) } else { wait }
        };
        if pause.is_zero() {
            yield_now().await;
        } else {
            sleep(pause.min(wait)).await;
        }
        let mut state = self.look("poll")?;
        if let Some(why) = state.kafka.clients[self.client].fenced {
            return Err(failed("poll", (Class::Fatal, why)));
        }
        if state.scenario.faults.fatal > 0 && state.fault(1) {
            self.say(&mut state, "poll", "fatal");
            return Err(failed("poll", (Class::Fatal, "a fault")));
        }
        // Nothing is fetched from the revoke to its answer.
        let waiting = matches!(state.kafka.clients[self.client].awaiting, Some(Change::Revoked(_) | Change::Lost(_)));
        let first = if state.rng.chance(500) { state.hand_out(self.client) } else { None };
        if !waiting && state.deliver(self.client, &mut take, first.is_some()) {
            self.say(&mut state, "poll", "out of range");
            return Err(failed("poll", (Class::OutOfRange, "OFFSET_OUT_OF_RANGE")));
        }
        Ok(match first {
            Some(change) => Some(change),
            None => state.hand_out(self.client),
        })
    }

    fn assign(&self, placed: &[(TopicPartition, i64)]) -> Result<(), ClientError> {
        let mut state = self.look("assign")?;
        if placed.is_empty() {
            state.answered_assigned(self.client);
        }
        for (id, offset) in placed {
            let partition = state.kafka.index(id);
            let consumer = &mut state.kafka.clients[self.client];
            let own = consumer.assignment.contains(&partition);
            let fetch = Fetch { position: *offset, fetched: *offset, ..Fetch::default() };
            let early = consumer.fetch.contains_key(&partition);
            consumer.fetch.entry(partition).or_insert(fetch);
            self.say(&mut state, "assign", &format!("{id} at {offset}"));
            if early && !state.is_mutated(Mutation::ResumesWhatIsOpening) {
                state.violated(format!("{id} is added to what is fetched, where it is already"));
            }
            if !own {
                state.violated(format!("{id} is fetched by {}, which does not have it", self.client));
            }
        }
        Ok(())
    }

    fn unassign(&self, gone: &[TopicPartition]) -> Result<(), ClientError> {
        let mut state = self.look("unassign")?;
        let gone = state.indices(gone);
        state.let_go(self.client, &gone);
        Ok(())
    }

    fn lost(&self) -> bool {
        let mut state = self.world.lock();
        state.advance();
        state.kafka.clients[self.client].lost
    }

    fn pause(&self, partitions: &[TopicPartition]) -> Result<(), ClientError> {
        let mut state = self.look("pause")?;
        let skips = state.is_mutated(Mutation::PauseSkips);
        for partition in state.indices(partitions) {
            if let Some(fetch) = state.kafka.clients[self.client].fetch.get_mut(&partition) {
                fetch.paused = true;
                if skips {
                    fetch.position = fetch.fetched;
                }
                fetch.fetched = fetch.position;
            }
            self.say(&mut state, "pause", &partition.to_string());
        }
        Ok(())
    }

    fn resume(&self, partitions: &[TopicPartition]) -> Result<(), ClientError> {
        let mut state = self.look("resume")?;
        if state.is_mutated(Mutation::ResumesWhatIsOpening) {
            state.resume_what_is_opening(self.client);
        }
        for partition in state.indices(partitions) {
            if let Some(fetch) = state.kafka.clients[self.client].fetch.get_mut(&partition) {
                fetch.paused = false;
            }
            self.say(&mut state, "resume", &partition.to_string());
        }
        Ok(())
    }

    async fn seek(&self, partition: &TopicPartition, offset: i64) -> Result<(), ClientError> {
        self.pass().await;
        let mut state = self.look("seek")?;
        self.say(&mut state, "seek", &format!("{partition} to {offset}"));
        let ignored = state.is_mutated(Mutation::SeekIsIgnored);
        let partition = state.kafka.index(partition);
        if let Some(fetch) = state.kafka.clients[self.client].fetch.get_mut(&partition).filter(|_| !ignored) {
            *fetch = Fetch { position: offset, fetched: offset, broken: false, paused: fetch.paused };
        }
        Ok(())
    }

    async fn committed(&self, partition: &TopicPartition) -> Result<Option<Committed>, ClientError> {
        self.call("committed", |state, client| {
            let index = state.kafka.index(partition);
            if state.kafka.is_pending(index) && !state.is_mutated(Mutation::ReadsOffsetsUnstable) {
                return Err((Class::Retriable, "UNSTABLE_OFFSET_COMMIT"));
            }
            let mut found = state.kafka.offsets.get(&index).cloned();
            if found.is_none() && state.is_mutated(Mutation::BeginsUncommitted) {
                found = Some((state.kafka.logs[index].low, String::new()));
            }
            let name = state.kafka.clients[client].name.clone();
            state.note(name, || format!("committed offset of {partition}: {:?}", found.as_ref().map(|found| found.0)));
            Ok(found.map(|(offset, metadata)| Committed { offset, metadata }))
        })
        .await
    }

    async fn bounds(&self, partition: &TopicPartition, isolation: Isolation) -> Result<(i64, i64), ClientError> {
        self.call("bounds", |state, _| {
            let log = &state.kafka.logs[state.kafka.index(partition)];
            let stable = isolation == Isolation::Committed || state.is_mutated(Mutation::TrustsTheStableEnd);
            Ok((log.low, if stable { log.stable() } else { log.high() }))
        })
        .await
    }

    async fn offset_at(&self, partition: &TopicPartition, timestamp_ms: i64) -> Result<i64, ClientError> {
        self.call("offset_at", |state, _| {
            let log = &state.kafka.logs[state.kafka.index(partition)];
            let found = log.committed().find(|(at, record)| *at >= log.low && record.timestamp_ms >= timestamp_ms);
            Ok(found.map_or(log.stable(), |(at, _)| at))
        })
        .await
    }

    async fn topic(&self, topic: &str) -> Result<Option<TopicNow>, ClientError> {
        self.pass().await;
        let state = self.look("topic")?;
        let mut partitions = i32::try_from(state.kafka.of_topic(topic).len()).unwrap_or(i32::MAX);
        if state.is_mutated(Mutation::TakesAddedPartitionsForOld) {
            partitions = i32::MAX;
        }
        Ok(Some(TopicNow { id: format!("id-of-{topic}"), partitions }))
    }

    async fn scan(&self, partition: &TopicPartition, from: i64, mut take: Take<'_>) -> Result<(), ClientError> {
        let mut at = from;
        let log = self.look("scan")?.kafka.index(partition);
        let _reading = Reading::begin(&self.world, log);
        loop {
            self.pass().await;
            let mut state = self.look("scan")?;
            let rate = state.scenario.faults.retriable;
            if state.fault(rate) {
                return Err(failed("scan", (Class::Retriable, "request lost")));
            }
            let some = 1 + state.rng.index(40);
            let log = &state.kafka.logs[log];
            at = at.max(log.low);
            for _ in 0..some {
                if at >= log.stable() {
                    return Ok(());
                }
                if let Some(record) = log.visible(at)
                    && !give(log, at, record, &mut take)
                {
                    return Ok(());
                }
                at += 1;
            }
        }
    }

    fn group(&self) -> Result<Self::Group, ClientError> {
        let state = self.look("group")?;
        state.kafka.clients[self.client].metadata.ok_or_else(|| failed("group", (Class::Retriable, "not joined yet")))
    }

    async fn init_transactions(&self) -> Result<(), ClientError> {
        self.break_down("init_transactions")?;
        self.call("init_transactions", State::init_producer).await
    }

    fn begin(&self) -> Result<(), ClientError> {
        let mut state = self.look("begin")?;
        let txn = state.kafka.new_txn();
        let consumer = &mut state.kafka.clients[self.client];
        let before = consumer.txn.replace(txn);
        consumer.queue.clear();
        let name = consumer.name.clone();
        state.note(name, || format!("begins transaction {txn}"));
        if let Some(before) = before {
            state.violated(format!("transaction {txn} begins before {before} has ended"));
        }
        Ok(())
    }

    async fn produce(&self, output: &Output) -> Result<(), ClientError> {
        self.break_down("produce")?;
        let queued = {
            let mut state = self.look("produce")?;
            let rate = state.scenario.faults.retriable;
            if state.fault(rate) {
                self.say(&mut state, "produce", "queue full");
                return Err(failed("produce", (Class::Retriable, "queue full")));
            }
            let queue_it = state.rng.chance(400);
            let queue = &mut state.kafka.clients[self.client].queue;
            queue.push_back(output.clone());
            queue_it
        };
        if !queued {
            self.flush("produce").await?;
        }
        Ok(())
    }

    async fn send_offsets(&self, offsets: &[Offset], group: &Self::Group) -> Result<(), ClientError> {
        self.break_down("send_offsets")?;
        self.until_ended("send_offsets").await?;
        self.call("send_offsets", |state, client| {
            let mut offsets: Vec<_> = offsets
                .iter()
                .map(|offset| (state.kafka.index(&offset.partition), offset.offset, offset.metadata.clone()))
                .collect();
            let mut group = *group;
            match state.mutation {
                Some(Mutation::SendsNoOffsets) => return Ok(()),
                Some(Mutation::FetchesGroupLate | Mutation::AnswersBeforeTheCommit) => {
                    group = state.kafka.clients[client].metadata.unwrap_or(group);
                }
                Some(Mutation::CommitsTheNewest) => {
                    for (source, offset, _) in &mut offsets {
                        let fetch = state.kafka.clients[client].fetch.get(source);
                        *offset = fetch.map_or(*offset, |fetch| fetch.position.max(*offset));
                    }
                }
                _ => {}
            }
            state.add_offsets(client, &offsets, group.0, group.1)
        })
        .await
    }

    async fn commit(&self) -> Result<(), ClientError> {
        self.flush("commit").await?;
        self.break_down("commit")?;
        self.end("commit", true).await.map_err(|mut error| {
            if error.class == Class::Retriable && self.world.lock().is_mutated(Mutation::SendsTheUndecidedAgain) {
                error.class = Class::Abortable;
            }
            error
        })?;
        let mut state = self.world.lock();
        let rate = state.scenario.faults.fatal;
        if state.fault(rate) {
            state.covers("a commit whose outcome is unknown");
            self.say(&mut state, "commit", "outcome unknown");
            return Err(failed("commit", (Class::Fatal, "outcome unknown")));
        }
        Ok(())
    }

    async fn abort(&self) -> Result<(), ClientError> {
        self.world.lock().kafka.clients[self.client].queue.clear();
        let mutated = self.world.lock().is_mutated(Mutation::SendsTheUndecidedAgain);
        match self.end("abort", false).await {
            Err(error) if error.class == Class::Fatal && mutated => {
                self.world.lock().kafka.clients[self.client].txn = None;
                Ok(())
            }
            result => result,
        }
    }

    fn close(&self) {
        let mut state = self.world.lock();
        state.advance();
        state.leave(self.client);
    }
}
