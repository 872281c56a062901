//! The worker loop: one session with Kafka, from joining the group to leaving it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::sync::watch;
use tokio::time::Instant;
use weir_contract::{Partition, TopicPartition};
use weir_kafka::{Client, ClientError, Fed, Feed, Mark, Open, Partitions, Rebalance};

use crate::commits::Order;
use crate::instruments::{Ending, Of};
use crate::lane::Work;
use crate::opening::{Opening, Ready};
use crate::worker::{Defect, Lanes, Setup, Worker};

/// How long a poll waits when nothing is going on.
const IDLE_WAIT: Duration = Duration::from_millis(50);
/// How long it waits while partitions are being let go of.
const LEAVING_WAIT: Duration = Duration::from_millis(5);

/// What the parts beside the poll thread tell it.
pub(crate) enum Notice<P> {
    /// A partition can run.
    Opened(Box<Ready<P>>),
    /// A partition begins there, once that is committed.
    Begins { id: TopicPartition, cancelled: Arc<AtomicBool>, offset: i64, mark: Mark },
    /// A partition does not open yet.
    NotYet { id: TopicPartition, why: String },
    /// A partition does not open before a person helps.
    Refused { id: TopicPartition, why: String },
    /// A processor died, on that record if on any.
    Died { partition: Arc<Partition>, record: Option<i64> },
    /// No transaction under way holds anything of a partition whose processor died.
    Settled(TopicPartition),
    /// Partitions are the group's again.
    LetGo(Vec<TopicPartition>),
    /// Nothing can be committed any more.
    Broken(ClientError),
}

/// Where they tell it.
pub(crate) type Notices<P> = (UnboundedSender<Notice<P>>, UnboundedReceiver<Notice<P>>);

/// How a session ends.
#[derive(Debug)]
pub(crate) enum End {
    /// It was asked to.
    Stopped,
    /// The client is of no use any more; a new one goes on from what is committed.
    Renew(ClientError),
    /// Something was forgotten.
    Defect(Defect),
}

/// One session.
pub(crate) struct Session<'s, W: Worker, C: Client> {
    pub worker: &'s Arc<W>,
    pub setup: &'s Setup,
    pub lanes: &'s Lanes<W::Processor>,
    pub client: Arc<C>,
    pub feed: Feed<C>,
    pub partitions: Partitions,
    pub orders: UnboundedSender<Order>,
    pub notices: Notices<W::Processor>,
    pub stop: watch::Receiver<bool>,
    pub openings: BTreeMap<TopicPartition, Arc<AtomicBool>>,
    pub reopening: Vec<TopicPartition>,
    pub leaving: Vec<Leaving>,
    pub stopping: bool,
    pub tick_due: Instant,
}

/// Partitions on their way out.
pub(crate) struct Leaving {
    partitions: Vec<TopicPartition>,
    until: Instant,
    ordered: bool,
}

impl<W: Worker, C: Client> Session<'_, W, C> {
    /// The worker loop.
    pub async fn run(mut self) -> End {
        let end = loop {
            match self.turn().await {
                Ok(None) => {}
                Ok(Some(end)) => break end,
                Err(error) => break End::Renew(error),
            }
        };
        for cancelled in self.openings.values() {
            cancelled.store(true, Ordering::SeqCst);
        }
        for id in self.feed.all() {
            self.lanes.send(&id, Work::Close(id.clone())).await;
        }
        end
    }

    async fn turn(&mut self) -> Result<Option<End>, ClientError> {
        let wait = if self.leaving.is_empty() { IDLE_WAIT } else { LEAVING_WAIT };
        let polled = self.feed.poll(wait).await?;
        for fed in polled.batches {
            self.dispatch(fed).await;
        }
        // Before the rebalance: what was let go of may be given again by it.
        while let Ok(notice) = self.notices.1.try_recv() {
            self.heed(notice).await?;
        }
        match polled.rebalance {
            Some(Rebalance::Assigned(partitions)) => self.assigned(&partitions)?,
            Some(Rebalance::Revoked(partitions)) => self.leave(partitions, self.setup.settings.revoke_timeout),
            Some(Rebalance::Lost(partitions)) => self.lost(partitions),
            None => {}
        }
        self.feed.throttle(&self.setup.budget)?;
        self.tick().await;
        self.commit_what_is_much();
        self.let_go_of_the_idle();
        if *self.stop.borrow() && !self.stopping {
            self.stopping = true;
            self.leave(self.feed.all(), self.setup.settings.drain_timeout);
        }
        if self.stopping && self.leaving.is_empty() {
            return Ok(Some(End::Stopped));
        }
        Ok(self.forgotten().map(End::Defect))
    }

    async fn heed(&mut self, notice: Notice<W::Processor>) -> Result<(), ClientError> {
        match notice {
            Notice::Opened(ready) => self.opened(*ready).await?,
            Notice::Begins { cancelled, .. } if cancelled.load(Ordering::SeqCst) => {}
            Notice::Begins { id, offset, mark, .. } => {
                tracing::info!(partition = %id, offset, "nothing is committed of a partition; it begins");
                self.feed.begin(&id, offset, mark);
                self.order(Order::Commit);
            }
            Notice::NotYet { id, why } => self.setup.status.update(|status| {
                status.partitions.entry(id.to_string()).or_default().opening_error = Some(why);
            }),
            Notice::Refused { id, why } => self.setup.status.update(|status| {
                let shown = status.partitions.entry(id.to_string()).or_default();
                (shown.problem, shown.opening_error) = (Some(why), None);
            }),
            Notice::Died { partition, record } => self.died(&partition, record),
            Notice::Settled(id) if self.reopening.contains(&id) => self.open(&id),
            Notice::Settled(_) => {}
            Notice::LetGo(partitions) => {
                self.feed.gone(&partitions);
                self.leaving.retain(|leaving| leaving.partitions != partitions);
                for id in partitions {
                    self.lanes.send(&id, Work::Close(id.clone())).await;
                }
            }
            Notice::Broken(error) => return Err(error),
        }
        Ok(())
    }

    async fn dispatch(&self, fed: Fed) {
        let Fed { partition, batch, unread } = fed;
        self.setup.instruments.received(&of(partition.id()), &batch);
        let now = self.setup.clock.now().0;
        let (entry, processing) = partition.admit(Some((batch.first_offset(), batch.next_offset())), now);
        if let Some(ms) = batch.oldest_ms() {
            entry.date(ms);
        }
        if batch.is_empty() {
            // Every record was passed over: done as soon as what came before is.
            return processing.release();
        }
        let charge = self.setup.budget.charge(batch.weight());
        self.lanes.send(partition.id(), Work::Batch { entry, processing, batch, charge, unread }).await;
    }

    fn assigned(&mut self, partitions: &[TopicPartition]) -> Result<(), ClientError> {
        tracing::info!(partitions = partitions.len(), "partitions assigned");
        self.count("assigned", partitions);
        self.setup.status.update(|status| {
            status.assigned = true;
            status.session_error = None;
        });
        self.feed.assigned(partitions)?;
        // One that stops begins nothing any more (invariant 8): the next owner opens them.
        if !self.stopping {
            for id in partitions {
                self.open(id);
            }
        }
        Ok(())
    }

    /// Opens a partition on a thread of its own.
    fn open(&mut self, id: &TopicPartition) {
        let cancelled = Arc::new(AtomicBool::new(false));
        if let Some(before) = self.openings.insert(id.clone(), Arc::clone(&cancelled)) {
            before.store(true, Ordering::SeqCst);
        }
        let (worker, source) = (Arc::clone(self.worker), id.clone());
        let opening = Opening {
            client: Arc::clone(&self.client),
            id: id.clone(),
            cancelled,
            start: self.setup.settings.start,
            state_topic: self.setup.identity.state_topic.clone(),
            processor: Box::new(move || worker.processor(&source)),
            notices: self.notices.0.clone(),
            seed: self.setup.settings.seed,
        };
        if let Err(error) = self.setup.threads.thread("opening", move || opening.run()) {
            tracing::error!(error = %error, partition = %id, "no thread to open a partition");
        }
    }

    async fn opened(&mut self, ready: Ready<W::Processor>) -> Result<(), ClientError> {
        let Ready { id, cancelled, processor, offset, mark, gap } = ready;
        if cancelled.load(Ordering::SeqCst) {
            return Ok(());
        }
        self.openings.remove(&id);
        if let Some(gap) = gap {
            let records = u64::try_from(gap.to - gap.from).unwrap_or_default();
            tracing::error!(partition = %id, from = gap.from, to = gap.to, records, "records were removed unread");
            self.setup.instruments.gap_records.get_or_create(&of(&id)).inc_by(records);
        }
        let again = self.reopening.iter().position(|reopening| *reopening == id);
        let partition = match again {
            Some(place) => {
                self.reopening.swap_remove(place);
                self.feed.reopened(&id, offset, mark).await?
            }
            None => self.feed.opened(&id, offset, mark)?,
        };
        if let Some(partition) = partition {
            tracing::info!(partition = %id, offset, "partition opened");
            let notices = self.notices.0.clone();
            self.lanes.send(&id, Work::Open { partition, processor, notices }).await;
        }
        Ok(())
    }

    /// It is opened again only when no commit under way can still move its offset and state.
    fn died(&mut self, partition: &Arc<Partition>, record: Option<i64>) {
        let id = partition.id();
        tracing::error!(partition = %id, offset = record, "processor died; the partition is opened again");
        if self.feed.died(partition, record) {
            self.reopening.push(id.clone());
            self.order(Order::Settle(id.clone()));
        }
    }

    /// Begins to let go: nothing more is fetched, what is under way may end until the time is up.
    fn leave(&mut self, partitions: Vec<TopicPartition>, timeout: Duration) {
        tracing::info!(partitions = partitions.len(), "letting go of partitions");
        self.count("revoked", &partitions);
        for id in &partitions {
            self.cancel(id);
        }
        self.feed.drain(&partitions);
        self.leaving.push(Leaving { partitions, until: Instant::now() + timeout, ordered: false });
    }

    /// Lets go at once of what is somebody else's already.
    fn lost(&mut self, partitions: Vec<TopicPartition>) {
        tracing::warn!(partitions = partitions.len(), "partitions lost to others");
        self.count("lost", &partitions);
        for id in &partitions {
            self.cancel(id);
        }
        self.feed.lost(&partitions);
        self.order(Order::Drop(partitions.clone()));
        self.leaving.push(Leaving { partitions, until: Instant::now(), ordered: true });
    }

    /// Lets go of partitions that have nothing under way, or whose time is up.
    fn let_go_of_the_idle(&mut self) {
        let now = Instant::now();
        for leaving in &mut self.leaving {
            if !leaving.ordered && (now >= leaving.until || self.feed.idle(&leaving.partitions)) {
                leaving.ordered = true;
                let order = Order::LetGo { partitions: leaving.partitions.clone(), until: leaving.until };
                // Commits that have ended have said so in a notice.
                self.orders.send(order).ok();
            }
        }
    }

    /// Lets time pass for every open partition, and takes its standing.
    async fn tick(&mut self) {
        if Instant::now() < self.tick_due {
            return;
        }
        self.tick_due = Instant::now() + self.setup.settings.tick_interval;
        self.show();
        let now = self.setup.clock.now();
        for partition in self.feed.running() {
            let (entry, processing) = partition.admit(None, now.0);
            self.lanes.send(partition.id(), Work::Tick { entry, processing, now }).await;
        }
    }

    /// Has much that was made for Kafka committed before the interval is over.
    fn commit_what_is_much(&self) {
        if self.lanes.made_bytes.load(Ordering::Relaxed) >= self.setup.settings.commit_bytes {
            self.lanes.made_bytes.store(0, Ordering::Relaxed);
            self.order(Order::Commit);
        }
    }

    fn forgotten(&self) -> Option<Defect> {
        let open = self.partitions.lock();
        open.values().find_map(|Open { partition, .. }| {
            let (first, next) = partition.forgotten()?;
            Some(Defect { partition: partition.id().clone(), first, next })
        })
    }

    fn cancel(&mut self, id: &TopicPartition) {
        if let Some(cancelled) = self.openings.remove(id) {
            cancelled.store(true, Ordering::SeqCst);
        }
        self.reopening.retain(|reopening| reopening != id);
    }

    fn order(&self, order: Order) {
        // Commits that have ended have said so in a notice.
        self.orders.send(order).ok();
    }

    fn count(&self, outcome: &'static str, partitions: &[TopicPartition]) {
        self.setup.instruments.rebalances.get_or_create(&Ending { outcome }).inc_by(partitions.len() as u64);
    }

    /// Shows how every partition stands.
    fn show(&self) {
        let (open, now) = (self.partitions.lock(), self.setup.clock.now());
        let instruments = &self.setup.instruments;
        instruments.pauses.set(i64::try_from(self.feed.pauses()).unwrap_or(i64::MAX));
        instruments.under_way_bytes.set(i64::try_from(self.setup.budget.used_bytes()).unwrap_or(i64::MAX));
        let detail = self.worker.detail();
        self.setup.status.update(|status| {
            status.detail = detail;
            let mut before = std::mem::take(&mut status.partitions);
            for (id, life) in self.feed.lives() {
                let name = id.to_string();
                let mut shown = before.remove(&name).unwrap_or_default();
                shown.show(life, open.get(id).map(|open| open.partition.standing()), now);
                status.partitions.insert(name, shown);
            }
            instruments.partitions.set(i64::try_from(status.partitions.len()).unwrap_or(i64::MAX));
        });
    }
}

fn of(id: &TopicPartition) -> Of {
    Of { topic: id.topic.to_string(), partition: id.partition }
}
