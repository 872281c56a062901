//! What the outside is to the runtime.

use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;

use crate::Item;

/// One shard's way to the outside: packs items of many batches into one request and delivers it.
///
/// A worker may have several ways to the outside, its outlets; each has shards of its own, and an offset waits for all.
/// Each shard has a sink of its own and one request in flight, so what shares a shard is delivered
/// in partition order (invariant 6).
pub trait Sink: Send + 'static {
    /// What it packs.
    type Out: Send + 'static;
    /// What goes wrong.
    type Error: Failure;

    /// Parts of what a batch has for this shard that never share a request, such as those of different tenants, each
    /// under a number that tells them apart; the order of items under one number is kept.
    fn divide(&self, items: Vec<Item<Self::Out>>) -> Vec<(u64, Vec<Item<Self::Out>>)> {
        vec![(0, items)]
    }

    /// Packs the longest prefix of `items` (never empty) that fits one request, and keeps it as the
    /// request to deliver. Returns how many items that is, at least one.
    fn pack(&mut self, items: &[Item<Self::Out>]) -> usize;

    /// Delivers what was packed last; called again for a retry.
    ///
    /// # Errors
    /// Anything but an acknowledgement of every item.
    fn deliver(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// A failed delivery that knows what comes next.
pub trait Failure: std::error::Error + Send + Sync + 'static {
    /// What the runtime does about it; the one place that decides it.
    fn next(&self) -> Next;
}

/// What follows a failed delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The same request again, after backing off, at least so long where the outside said so.
    Retry {
        /// What the outside asked for.
        after: Option<Duration>,
    },
    /// The same items at once, packed anew: what the outside takes is not what it was.
    Repack,
    /// Credentials, a missing bucket: again, slowly and loudly, while the worker is not ready.
    Blocked,
    /// The halves one after the other; a single item is refused with this reason.
    Split {
        /// Why a single item is refused, from the worker's closed list.
        reason: &'static str,
    },
    /// Every item of the request is refused: its record goes to the dead letters.
    Reject {
        /// Why, from the worker's closed list.
        reason: &'static str,
    },
}

/// The sink of a worker that ends in Kafka: it emits nothing, so nothing reaches it.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSink;

impl Sink for NoSink {
    type Out = Infallible;
    type Error = Infallible;

    fn pack(&mut self, items: &[Item<Infallible>]) -> usize {
        items.len()
    }

    async fn deliver(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl Failure for Infallible {
    fn next(&self) -> Next {
        match *self {}
    }
}
