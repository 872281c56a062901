//! What a worker is to the runtime.

use crate::{Batch, Memory, Outbox};

/// A time, in milliseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub i64);

/// An entry of the changelog that the processor cannot read.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Written by a newer program.
    #[error("state entry has format version {found}; this program reads up to {known}")]
    Version {
        /// The entry's format version.
        found: u32,
        /// The newest that is known here.
        known: u32,
    },
    /// Not what was written.
    #[error("state entry of {len} bytes cannot be read: {why}")]
    Malformed {
        /// The entry's length, in bytes.
        len: usize,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// One partition's share of a worker: made when the partition is opened, dropped when it goes.
pub trait Processor: Send + 'static {
    /// What the sink packs: a sample, a span, a row.
    type Out: Send + 'static;

    /// Takes one entry of the partition's state, while the partition opens.
    ///
    /// # Errors
    /// An entry that cannot be read; the partition then refuses to open.
    fn restore(&mut self, key: &[u8], value: &[u8]) -> Result<(), StateError>;

    /// Consumes records of one partition, in offset order, never empty.
    ///
    /// Pure: no clock, network, commit or randomness (invariant 7). A bad record is rejected with
    /// its reason while the others go on; what is kept for later keeps a hold.
    fn process(&mut self, batch: &Batch, out: &mut Outbox<Self::Out>);

    /// Lets time pass, for what lingers: `now` is the runtime's clock, `memory` how short it is.
    fn tick(&mut self, now: Timestamp, memory: Memory, out: &mut Outbox<Self::Out>);
}
