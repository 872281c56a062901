//! A shard: packs items of many batches into requests and delivers them, one at a time.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, sleep_until};
use weir_contract::{Charge, Failure, Hold, Item, Next, Sink};

use crate::chain;
use crate::instruments::{Because, Ending, Instruments, To};
use crate::retry::Backoff;
use crate::status::{Health, Status};

/// How long the outside is left alone that a person has to help first.
const BLOCKED_PAUSE: Duration = Duration::from_secs(10);

/// How often a shard that waits looks whether what it has is still wanted: nobody gives its memory
/// back before.
const LOOK: Duration = Duration::from_secs(1);

/// Items of one batch for one shard, and the hold that stands for them.
pub(crate) struct Parcel<T> {
    pub hold: Hold,
    pub items: Vec<Item<T>>,
    pub charge: Charge,
}

/// How a shard packs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packing {
    /// Items a request, at most.
    pub max_items: usize,
    /// How long items wait for more.
    pub linger: Duration,
}

/// A shard's way to the outside.
pub(crate) struct Shard<S: Sink> {
    pub outlet: Arc<str>,
    pub sink: S,
    pub packing: Packing,
    pub instruments: Instruments,
    pub status: Status,
    pub seed: u64,
}

/// Items in order, and the parcels they came in.
struct Queue<T> {
    items: Vec<Item<T>>,
    /// Each with how many of its items are still in the queue.
    parcels: VecDeque<(usize, Hold, Arc<Charge>)>,
}

/// What waits to be delivered: items that share no request are in different queues.
type Queues<T> = BTreeMap<u64, Queue<T>>;

/// What is left to do about a request after one try.
enum Tried {
    /// All of it was settled, one way or the other.
    Settled,
    /// It is to be delivered in halves.
    Halve,
    /// It is to be packed anew.
    Repack,
    /// The items it was made of are not wanted any more.
    Stale,
}

impl<S: Sink> Shard<S> {
    /// Delivers until nobody sends parcels any more.
    pub async fn run(mut self, mut parcels: UnboundedReceiver<Parcel<S::Out>>) {
        let (mut queues, mut due) = (Queues::new(), None);
        while let Some(parcel) = parcels.recv().await {
            let mut longest = self.push(&mut queues, parcel);
            let due_at = *due.get_or_insert_with(|| Instant::now() + self.packing.linger);
            while longest < self.packing.max_items {
                let more = tokio::select! {
                    biased;
                    parcel = parcels.recv() => parcel,
                    () = sleep_until(due_at) => None,
                };
                let Some(parcel) = more else { break };
                longest = longest.max(self.push(&mut queues, parcel));
            }
            for queue in queues.values_mut() {
                // What is left of a full request begins the next one, as long as there is something to fill it with.
                while queue.items.len() >= self.packing.max_items
                    || !queue.items.is_empty() && (parcels.is_empty() || Instant::now() >= due_at)
                {
                    self.deliver(queue).await;
                }
            }
            // Numbers may come and go; the one of a sink that does not divide keeps its room.
            queues.retain(|number, queue| *number == 0 || !queue.items.is_empty());
            due = due.filter(|_| queues.values().any(|queue| !queue.items.is_empty()));
        }
    }

    /// Queues a parcel's items; the length of the longest queue of those.
    fn push(&self, queues: &mut Queues<S::Out>, parcel: Parcel<S::Out>) -> usize {
        let Parcel { hold, items, charge } = parcel;
        let (charge, mut longest) = (Arc::new(charge), 0);
        for (number, items) in self.sink.divide(items) {
            let queue = queues.entry(number).or_default();
            // It is not released yet, so that there is one.
            if let Some(share) = hold.share() {
                queue.push(share, items, Arc::clone(&charge));
            }
            longest = longest.max(queue.items.len());
        }
        hold.release();
        longest
    }

    /// Delivers as many items of a queue as fit a request.
    async fn deliver(&mut self, queue: &mut Queue<S::Out>) {
        // Spans that are to be requests of their own, the next one last.
        let mut spans = vec![queue.items.len().min(self.packing.max_items)];
        while let Some(span) = spans.pop() {
            let packed = match queue.items.get(..span) {
                Some(items) if span > 0 => self.sink.pack(items).clamp(1, span),
                _ => break,
            };
            match self.try_until_settled(queue, packed).await {
                Tried::Settled if packed < span => spans.push(span - packed),
                Tried::Settled => {}
                Tried::Repack => spans.push(span),
                Tried::Halve => spans.extend([span - packed / 2, packed / 2]),
                Tried::Stale => break,
            }
        }
    }

    /// Delivers the packed request until it is settled: a retryable failure never ends.
    async fn try_until_settled(&mut self, queue: &mut Queue<S::Out>, packed: usize) -> Tried {
        let mut backoff = Backoff::new(self.seed);
        let mut trouble =
            Trouble { outlet: &self.outlet, status: &self.status, instruments: &self.instruments, blocked: None };
        loop {
            if queue.drop_abandoned() {
                return Tried::Stale;
            }
            let started = Instant::now();
            let outcome = self.sink.deliver().await;
            self.instruments.delivery_seconds.observe(started.elapsed().as_secs_f64());
            let Err(error) = outcome else {
                self.count("delivered");
                self.instruments.delivered_items.inc_by(packed as u64);
                queue.release(packed, None);
                return Tried::Settled;
            };
            let next = error.next();
            let pause = match next {
                Next::Split { .. } if packed > 1 => {
                    self.count("split");
                    return Tried::Halve;
                }
                Next::Repack => {
                    self.count("repacked");
                    return Tried::Repack;
                }
                Next::Split { reason } | Next::Reject { reason } => {
                    self.count("rejected");
                    let (sink, error) = (&self.outlet, chain(&error));
                    tracing::warn!(%sink, error, reason, items = packed, "the outside refused items");
                    self.instruments.rejected_records.get_or_create(&Because { reason }).inc();
                    queue.release(packed, Some(reason));
                    return Tried::Settled;
                }
                Next::Retry { after } => {
                    self.count("retried");
                    backoff.pause().max(after.unwrap_or_default())
                }
                Next::Blocked => {
                    self.count("blocked");
                    BLOCKED_PAUSE
                }
            };
            trouble.say(&error, next == Next::Blocked, pause);
            let until = Instant::now() + pause;
            while Instant::now() < until && !queue.has_abandoned() {
                sleep_until(until.min(Instant::now() + LOOK)).await;
            }
        }
    }

    fn count(&self, outcome: &'static str) {
        self.instruments.deliveries.get_or_create(&Ending { outcome }).inc();
    }
}

/// A shard's share of the worker's health while it tries a request again and again.
struct Trouble<'s> {
    outlet: &'s Arc<str>,
    status: &'s Status,
    instruments: &'s Instruments,
    /// Whether a person has to help, once there is trouble at all.
    blocked: Option<bool>,
}

impl Trouble<'_> {
    fn say(&mut self, error: &dyn std::error::Error, blocked: bool, pause: Duration) {
        let error = chain(error);
        let (sink, retry_after_secs) = (&**self.outlet, pause.as_secs_f64());
        if blocked {
            tracing::error!(sink, error, retry_after_secs, "delivery is blocked until someone helps");
        } else {
            tracing::warn!(sink, error, retry_after_secs, "delivery failed, retrying");
        }
        let before = self.blocked.replace(blocked);
        self.count(before, -1);
        self.count(Some(blocked), 1);
        self.update(|sink| sink.last_error = Some(error));
    }

    fn count(&self, blocked: Option<bool>, by: isize) {
        let Some(blocked) = blocked else { return };
        self.update(|sink| {
            let shards = if blocked { &mut sink.blocked_shards } else { &mut sink.retrying_shards };
            *shards = shards.saturating_add_signed(by);
            if sink.blocked_shards + sink.retrying_shards == 0 {
                sink.last_error = None;
            }
            let to = To { sink: self.outlet.to_string() };
            self.instruments.blocked.get_or_create(&to).set(i64::from(sink.blocked_shards > 0));
        });
    }

    fn update(&self, change: impl FnOnce(&mut Health)) {
        self.status.update(|status| change(status.sinks.entry(self.outlet.to_string()).or_default()));
    }
}

impl Drop for Trouble<'_> {
    fn drop(&mut self) {
        self.count(self.blocked, -1);
    }
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { items: Vec::new(), parcels: VecDeque::new() }
    }
}

impl<T> Queue<T> {
    fn push(&mut self, hold: Hold, mut items: Vec<Item<T>>, charge: Arc<Charge>) {
        self.parcels.push_back((items.len(), hold, charge));
        self.items.append(&mut items);
    }

    /// Takes that many items off the front, acknowledged or refused for a reason, and releases the
    /// holds of the parcels that are through.
    fn release(&mut self, count: usize, refused: Option<&'static str>) {
        let mut settled = self.items.drain(..count.min(self.items.len()));
        let mut left = count;
        while left > 0
            && let Some((items, hold, charge)) = self.parcels.pop_front()
        {
            let through = left.min(items);
            for item in settled.by_ref().take(through) {
                if let (Some(reason), Some(entry)) = (refused, hold.entry()) {
                    entry.refuse(item.offset, reason);
                }
            }
            left -= through;
            if through < items {
                self.parcels.push_front((items - through, hold, charge));
            } else {
                hold.release();
            }
        }
    }

    fn has_abandoned(&self) -> bool {
        self.parcels.iter().any(|(_, hold, _)| is_abandoned(hold))
    }

    /// Drops the items of partitions that were let go of; whether there were any.
    fn drop_abandoned(&mut self) -> bool {
        if !self.has_abandoned() {
            return false;
        }
        let mut items = std::mem::take(&mut self.items).into_iter();
        let mut kept = VecDeque::new();
        for (count, hold, charge) in self.parcels.drain(..) {
            let own = items.by_ref().take(count);
            if is_abandoned(&hold) {
                own.for_each(drop);
            } else {
                self.items.extend(own);
                kept.push_back((count, hold, charge));
            }
        }
        self.parcels = kept;
        true
    }
}

fn is_abandoned(hold: &Hold) -> bool {
    hold.entry().is_none_or(|entry| entry.partition().is_abandoned())
}

#[cfg(test)]
mod tests;
