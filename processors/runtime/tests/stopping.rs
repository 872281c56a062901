//! Stopping: in time, whatever Kafka says to the last commit, and without beginning anything.

#![expect(clippy::unwrap_used, reason = "a test that fails says so by panicking")]

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use tokio::sync::watch;
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep, timeout};
use weir_contract::{
    Batch, Budget, Failure, Item, Limits, Memory, Next, Outbox, Output, Processor, Sink, StateError, Timestamp,
    TopicPartition,
};
use weir_kafka::{
    Class, Client, ClientError, Committed, FeedLimits, Identity, Isolation, Offset, Rebalance, Start, Take, TopicNow,
};
use weir_runtime::{Clock, Instruments, Outlet, Settings, Setup, Status, Threads, Worker, run};

const DRAIN: Duration = Duration::from_secs(20);
/// So long a test waits for what has to come, on the simulated clock.
const PATIENCE: Duration = Duration::from_mins(10);

/// A group's only member, and what Kafka says to it.
#[derive(Default)]
struct Kafka {
    /// What the group does next.
    rebalances: Mutex<VecDeque<Rebalance>>,
    /// What it does once partitions are let go of.
    late: Mutex<Option<Rebalance>>,
    /// The group's offsets are there already.
    begun: bool,
    /// Every commit is refused, as after a rebalance that this member has not heard of.
    refuses: bool,
    /// Whether this member is found to be fenced at the next poll.
    fenced: Mutex<bool>,
    commits: Mutex<usize>,
    fetched: Mutex<Vec<TopicPartition>>,
}

fn failed(call: &'static str, class: Class) -> ClientError {
    ClientError { call, why: "a test's".into(), class }
}

/// The client of it.
struct Member(Arc<Kafka>);

impl Client for Member {
    type Group = ();

    async fn poll(&self, wait: Duration, _: Take<'_>) -> Result<Option<Rebalance>, ClientError> {
        sleep(wait).await;
        if *self.0.fenced.lock() {
            return Err(failed("poll", Class::Fatal));
        }
        Ok(self.0.rebalances.lock().pop_front())
    }

    fn assign(&self, placed: &[(TopicPartition, i64)]) -> Result<(), ClientError> {
        self.0.fetched.lock().extend(placed.iter().map(|(id, _)| id.clone()));
        Ok(())
    }

    fn unassign(&self, _: &[TopicPartition]) -> Result<(), ClientError> {
        Ok(())
    }

    fn lost(&self) -> bool {
        false
    }

    fn pause(&self, partitions: &[TopicPartition]) -> Result<(), ClientError> {
        if !partitions.is_empty() {
            self.0.rebalances.lock().extend(self.0.late.lock().take());
        }
        Ok(())
    }

    fn resume(&self, _: &[TopicPartition]) -> Result<(), ClientError> {
        Ok(())
    }

    async fn seek(&self, _: &TopicPartition, _: i64) -> Result<(), ClientError> {
        Ok(())
    }

    fn committed(&self, _: &TopicPartition) -> impl Future<Output = Result<Option<Committed>, ClientError>> + Send {
        ready(Ok(self.0.begun.then(|| Committed { offset: 0, metadata: String::new() })))
    }

    fn bounds(&self, _: &TopicPartition, _: Isolation) -> impl Future<Output = Result<(i64, i64), ClientError>> + Send {
        ready(Ok((0, 0)))
    }

    fn offset_at(&self, _: &TopicPartition, _: i64) -> impl Future<Output = Result<i64, ClientError>> + Send {
        ready(Ok(0))
    }

    fn topic(&self, _: &str) -> impl Future<Output = Result<Option<TopicNow>, ClientError>> + Send {
        ready(Ok(None))
    }

    fn scan(&self, _: &TopicPartition, _: i64, _: Take<'_>) -> impl Future<Output = Result<(), ClientError>> + Send {
        ready(Ok(()))
    }

    fn group(&self) -> Result<(), ClientError> {
        Ok(())
    }

    async fn init_transactions(&self) -> Result<(), ClientError> {
        Ok(())
    }

    fn begin(&self) -> Result<(), ClientError> {
        Ok(())
    }

    async fn produce(&self, _: &Output) -> Result<(), ClientError> {
        Ok(())
    }

    async fn send_offsets(&self, _: &[Offset], (): &()) -> Result<(), ClientError> {
        *self.0.commits.lock() += 1;
        if self.0.refuses { Err(failed("send_offsets", Class::Abortable)) } else { Ok(()) }
    }

    async fn commit(&self) -> Result<(), ClientError> {
        Ok(())
    }

    async fn abort(&self) -> Result<(), ClientError> {
        Ok(())
    }

    fn close(&self) {}
}

/// A worker that makes nothing of anything.
struct Idle;

impl Worker for Idle {
    type Processor = Self;
    type Sink = Self;

    fn processor(&self, _: &TopicPartition) -> Self {
        Self
    }

    fn sink(&self, _: usize) -> Self {
        Self
    }
}

impl Processor for Idle {
    type Out = ();

    fn restore(&mut self, _: &[u8], _: &[u8]) -> Result<(), StateError> {
        Ok(())
    }

    fn process(&mut self, _: &Batch, _: &mut Outbox<()>) {}

    fn tick(&mut self, _: Timestamp, _: Memory, _: &mut Outbox<()>) {}
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Never(Infallible);

impl Failure for Never {
    fn next(&self) -> Next {
        match self.0 {}
    }
}

impl Sink for Idle {
    type Out = ();
    type Error = Never;

    fn pack(&mut self, items: &[Item<()>]) -> usize {
        items.len()
    }

    async fn deliver(&mut self) -> Result<(), Never> {
        Ok(())
    }
}

fn setup() -> Setup {
    Setup {
        identity: Identity {
            worker: "idle".into(),
            group: "idle".into(),
            dead_letter_topic: "dead".into(),
            dead_letter_max_bytes: 1_000,
            state_topic: None,
        },
        settings: Settings {
            lanes: 1,
            outlets: vec![Outlet { name: "idle".into(), shards: 1, max_items: 1, linger: Duration::ZERO }],
            commit_interval: Duration::from_secs(1),
            commit_bytes: usize::MAX,
            revoke_timeout: Duration::from_secs(1),
            drain_timeout: DRAIN,
            tick_interval: Duration::from_secs(1),
            start: Start::Earliest,
            batch: FeedLimits { batch_records: 1, batch_bytes: 1 },
            seed: 1,
        },
        limits: Limits::all(1_000),
        ends: None,
        threads: Threads::Simulated,
        budget: Budget::new(1_000),
        clock: Clock::starting_at(0),
        instruments: Instruments::new(&mut Registry::default()),
        status: Status::default(),
    }
}

fn source(partition: i32) -> TopicPartition {
    TopicPartition::new("in", partition)
}

/// Runs a worker that is given the first partition; stops it once `ready` says so. Returns how long it
/// took to stop; it was fenced right then if `fenced`.
async fn stopped(kafka: Kafka, ready: impl Fn(&Kafka) -> bool, fenced: bool) -> (Arc<Kafka>, Duration) {
    let kafka = Arc::new(kafka);
    kafka.rebalances.lock().push_back(Rebalance::Assigned(vec![source(0)]));
    let (stop, stopping) = watch::channel(false);
    let local = LocalSet::new();
    let own = Arc::clone(&kafka);
    let ended = local.spawn_local(run(Arc::new(Idle), setup(), move || Ok(Member(Arc::clone(&own))), stopping));
    let took = local.run_until(async {
        timeout(PATIENCE, async {
            while !ready(&kafka) {
                sleep(Duration::from_millis(10)).await;
            }
        })
        .await
        .unwrap();
        let since = Instant::now();
        stop.send(true).unwrap();
        sleep(Duration::from_millis(100)).await;
        *kafka.fenced.lock() = fenced;
        timeout(PATIENCE, ended).await.unwrap().unwrap().unwrap();
        since.elapsed()
    });
    let took = took.await;
    (kafka, took)
}

/// Scenario: the last commit is refused again and again, since a rebalance came between.
/// Guards: invariant 8, a stop takes `drain_timeout` and not the pause after it too.
#[tokio::test(start_paused = true)]
async fn a_commit_that_never_goes_through_holds_a_stop_up_for_the_drain_timeout_alone() {
    let kafka = Kafka { refuses: true, ..Kafka::default() };
    let (kafka, took) = stopped(kafka, |kafka| *kafka.commits.lock() > 0, false).await;
    assert!(took >= DRAIN && took < DRAIN + Duration::from_secs(1), "{took:?}");
    assert!(*kafka.commits.lock() > 20, "{} tries", kafka.commits.lock());
}

/// Scenario: the same, and another process has the instance ID by now.
#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_no_commit_once_the_session_is_over() {
    let kafka = Kafka { refuses: true, ..Kafka::default() };
    let (_, took) = stopped(kafka, |kafka| *kafka.commits.lock() > 0, true).await;
    assert!(took < Duration::from_secs(2), "{took:?}");
}

/// Scenario: another member leaves while this one stops, so that the group gives it what that one had.
/// Guards: invariant 8, polling has stopped.
#[tokio::test(start_paused = true)]
async fn a_partition_that_is_assigned_while_the_worker_stops_is_not_opened() {
    let late = Mutex::new(Some(Rebalance::Assigned(vec![source(1)])));
    let kafka = Kafka { begun: true, late, ..Kafka::default() };
    let (kafka, _) = stopped(kafka, |kafka| kafka.fetched.lock().contains(&source(0)), false).await;
    assert!(kafka.late.lock().is_none(), "it was assigned");
    assert_eq!(*kafka.fetched.lock(), [source(0)]);
}
