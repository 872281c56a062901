//! A worker from its start to its end.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use tokio::sync::mpsc::{Sender, channel, unbounded_channel};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use weir_contract::{Budget, Limits, Processor, Sink, TopicPartition};
use weir_kafka::{Class, Client, ClientError, Committer, Ends, Feed, FeedLimits, Identity, Partitions, Start};

use crate::chain;
use crate::clock::Clock;
use crate::commits::Commits;
use crate::instruments::Instruments;
use crate::lag::Lag;
use crate::lane::{Lane, Work};
use crate::retry::Backoff;
use crate::session::{End, Session};
use crate::shard::{Packing, Shard};
use crate::status::Status;
use crate::threads::{Ended, Threads};

/// Batches that wait for a lane, at most: what they will be made into is not under way yet, so it
/// does not count towards the budget (invariant 5).
const LANE_QUEUE: usize = 4;

/// What makes a worker: a processor for each partition and a sink for each shard.
pub trait Worker: Send + Sync + 'static {
    /// Bytes in, items out.
    type Processor: Processor;
    /// Items to the outside.
    type Sink: Sink<Out = <Self::Processor as Processor>::Out>;

    /// A processor for a partition that is opened.
    fn processor(&self, partition: &TopicPartition) -> Self::Processor;

    /// A sink for a shard of an outlet, by its place in [`Settings::outlets`]; called once for each shard.
    fn sink(&self, outlet: usize) -> Self::Sink;

    /// What it shows of itself at `/status`, beside what every worker does; never values of a payload.
    fn detail(&self) -> serde_json::Value {
        serde_json::Value::Null
    }
}

/// One of a worker's ways to the outside.
#[derive(Clone, Debug)]
pub struct Outlet {
    /// What it is called in logs, counters and at `/status`.
    pub name: Arc<str>,
    /// Requests in flight, at least one.
    pub shards: usize,
    /// Items a request, at most.
    pub max_items: usize,
    /// How long items wait for more.
    pub linger: Duration,
}

/// How a worker runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Threads that process, at least one.
    pub lanes: usize,
    /// Its ways to the outside; a processor emits to them by their place.
    pub outlets: Vec<Outlet>,
    /// How often finished batches are committed, at least.
    pub commit_interval: Duration,
    /// After how many bytes that were made for Kafka they are, too: so much takes the producer a while, which
    /// the next batches do not wait for, and the end of a transaction does. Each record counts as half a KiB more.
    pub commit_bytes: usize,
    /// How long what is under way may take when partitions are revoked.
    pub revoke_timeout: Duration,
    /// The same, at the end.
    pub drain_timeout: Duration,
    /// How often processors are told the time.
    pub tick_interval: Duration,
    /// Where a group without offsets begins.
    pub start: Start,
    /// How much a batch holds.
    pub batch: FeedLimits,
    /// What the jitter of retries comes from.
    pub seed: u64,
}

/// All that a worker is given to run with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Who it is to Kafka.
    pub identity: Identity,
    /// How it runs.
    pub settings: Settings,
    /// The largest records that its topics take.
    pub limits: Limits,
    /// Where it ends, which only a bounded run does.
    pub ends: Option<Arc<Ends>>,
    /// Where it runs.
    pub threads: Threads,
    /// The process's budget.
    pub budget: Budget,
    /// The process's clock.
    pub clock: Clock,
    /// Its counters.
    pub instruments: Instruments,
    /// What it shows of itself.
    pub status: Status,
}

/// Records that were forgotten: neither acknowledged nor given up. The process ends, and a restart
/// delivers them again.
#[derive(Debug, thiserror::Error)]
#[error("records {first} to {next} (exclusive) of {partition} were forgotten; nothing is committed past them")]
pub struct Defect {
    /// The partition.
    pub partition: TopicPartition,
    /// The first record of the batch.
    pub first: i64,
    /// The offset behind its last record.
    pub next: i64,
}

/// The lanes of a worker; a partition stays on its lane.
pub(crate) struct Lanes<P: Processor> {
    work: Vec<Sender<Work<P>>>,
    /// What they have made for Kafka since a commit was last asked for, in bytes.
    pub made_bytes: Arc<AtomicUsize>,
}

impl<P: Processor> Lanes<P> {
    /// Sends work to the lane of a partition, once there is room for it: lanes never wait for the poll
    /// thread.
    pub async fn send(&self, id: &TopicPartition, work: Work<P>) {
        // Topics with the same number of partitions spread alike; the topic's hash parts them.
        let topic = BuildHasherDefault::<DefaultHasher>::default().hash_one(&id.topic);
        let lane = topic.wrapping_add(u64::from(id.partition.unsigned_abs())) % self.work.len() as u64;
        if let Some(lane) = usize::try_from(lane).ok().and_then(|lane| self.work.get(lane)) {
            // A lane ends only after the sessions.
            lane.send(work).await.ok();
        }
    }
}

/// Runs a worker until `stop` says so: one session with Kafka after the other, each with a client
/// of its own.
///
/// # Errors
/// [`Defect`], after which the process should end with exit code 2.
pub async fn run<W: Worker, C: Client>(
    worker: Arc<W>,
    setup: Setup,
    connect: impl Fn() -> Result<C, ClientError>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), Defect> {
    let (lanes, ended) = start_parts(&worker, &setup);
    let (mut backoff, mut tries) = (Backoff::new(setup.settings.seed), 0);
    let result = loop {
        let started = Instant::now();
        let error = match connect() {
            Ok(client) => match session(&worker, &setup, &lanes, client, stop.clone()).await {
                End::Stopped => break Ok(()),
                End::Defect(defect) => break Err(defect),
                End::Renew(error) => error,
            },
            Err(error) => error,
        };
        if *stop.borrow() {
            setup.status.update(|status| status.assigned = false);
            break Ok(());
        }
        setup.status.lose_session(&error);
        if started.elapsed() > Duration::from_mins(1) {
            (backoff, tries) = (Backoff::new(setup.settings.seed), 0);
        }
        tries += 1;
        let pause = backoff.pause();
        let retry_after_secs = pause.as_secs_f64();
        tracing::warn!(error = %chain(&error), tries, retry_after_secs, "begins anew from what is committed");
        tokio::select! {
            () = sleep(pause) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    };
    drop(lanes);
    for lane in ended {
        lane.await.ok();
    }
    // Shards are not waited for: what they still have nobody holds any more.
    result
}

/// Starts lanes and shards, which outlive sessions: what a lost session has sent on its way is
/// followed in order by what the next one sends.
fn start_parts<W: Worker>(worker: &Arc<W>, setup: &Setup) -> (Lanes<W::Processor>, Vec<Ended>) {
    let settings = &setup.settings;
    let mut shards = Vec::new();
    for (place, outlet) in settings.outlets.iter().enumerate() {
        setup.status.add_sink(&outlet.name);
        for _ in 0..outlet.shards.max(1) {
            let (parcels, received) = unbounded_channel();
            let shard = Shard {
                outlet: Arc::clone(&outlet.name),
                sink: worker.sink(place),
                packing: Packing { max_items: outlet.max_items.max(1), linger: outlet.linger },
                instruments: setup.instruments.clone(),
                status: setup.status.clone(),
                seed: settings.seed.wrapping_add(shards.len() as u64),
            };
            setup.threads.task(shard.run(received));
            shards.push(parcels);
        }
    }
    let (mut lanes, mut ended, made_bytes) = (Vec::new(), Vec::new(), Arc::<AtomicUsize>::default());
    for index in 0..settings.lanes.max(1) {
        let (work, received) = channel(LANE_QUEUE);
        let lane: Lane<W::Processor> = Lane {
            shards: shards.clone(),
            outlets: settings.outlets.iter().map(|outlet| outlet.shards).collect(),
            budget: setup.budget.clone(),
            limits: setup.limits.clone(),
            instruments: setup.instruments.clone(),
            made_bytes: Arc::clone(&made_bytes),
        };
        match setup.threads.thread(&format!("lane-{index}"), move || lane.run(received)) {
            Ok(end) => ended.push(end),
            Err(error) => tracing::error!(error = %error, lane = index, "no thread for a lane"),
        }
        lanes.push(work);
    }
    (Lanes { work: lanes, made_bytes }, ended)
}

/// One session, with a client of its own, from joining the group to leaving it.
async fn session<W: Worker, C: Client>(
    worker: &Arc<W>,
    setup: &Setup,
    lanes: &Lanes<W::Processor>,
    client: C,
    stop: watch::Receiver<bool>,
) -> End {
    let client = Arc::new(client);
    if let Err(error) = initialise(&*client, setup, stop.clone()).await {
        client.close();
        return End::Renew(error);
    }
    let partitions = Partitions::default();
    let (orders, ordered) = unbounded_channel();
    let notices = unbounded_channel();
    let commits = Commits {
        committer: Committer::new(Arc::clone(&client), Arc::clone(&partitions), setup.identity.clone()),
        interval: setup.settings.commit_interval,
        notices: notices.0.clone(),
        instruments: setup.instruments.clone(),
        status: setup.status.clone(),
        seed: setup.settings.seed,
        settling: Vec::new(),
    };
    let lag = Lag {
        client: Arc::clone(&client),
        partitions: Arc::clone(&partitions),
        instruments: setup.instruments.clone(),
        status: setup.status.clone(),
    };
    let (over, watched) = watch::channel(false);
    let parts = [
        setup.threads.thread("commits", move || commits.run(ordered)),
        setup.threads.thread("lag", move || lag.run(watched)),
    ];
    let session = Session {
        worker,
        setup,
        lanes,
        feed: Feed::new(
            Arc::clone(&client),
            Arc::clone(&partitions),
            &setup.identity.group,
            setup.settings.batch,
            setup.ends.clone(),
        ),
        client: Arc::clone(&client),
        partitions,
        orders,
        notices,
        stop,
        openings: BTreeMap::new(),
        reopening: Vec::new(),
        leaving: Vec::new(),
        stopping: false,
        tick_due: Instant::now() + setup.settings.tick_interval,
    };
    let end = session.run().await;
    drop(over);
    for part in parts.into_iter().flatten() {
        part.await.ok();
    }
    client.close();
    end
}

/// Initialises transactions, which waits for the coordinator, and for an earlier owner's
/// transaction of the same ID.
async fn initialise<C: Client>(client: &C, setup: &Setup, mut stop: watch::Receiver<bool>) -> Result<(), ClientError> {
    let (mut backoff, mut tries) = (Backoff::new(setup.settings.seed), 0);
    loop {
        match client.init_transactions().await {
            Err(error) if error.class == Class::Retriable && !*stop.borrow() => {
                setup.status.lose_session(&error);
                tries += 1;
                let pause = backoff.pause();
                let retry_after_secs = pause.as_secs_f64();
                tracing::warn!(error = %chain(&error), tries, retry_after_secs, "transactions are not initialised yet");
                tokio::select! {
                    () = sleep(pause) => {}
                    _ = stop.wait_for(|stop| *stop) => return Err(error),
                }
            }
            result => return result,
        }
    }
}
