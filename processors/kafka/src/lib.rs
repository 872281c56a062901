//! The delivery protocol: how offsets are read, tracked and committed on a real Kafka.
//!
//! Everything here speaks to Kafka through the thin [`Client`] trait: [`rdkafka`](real) for real, a
//! simulated Kafka in tests, so that the protocol under test is the real one. Nothing here reads a
//! clock or sleeps; the runtime says when to try again.
//!
//! - [`Feed`] turns what the client delivers into batches of open partitions.
//! - [`open()`] finds a partition's state and its offset.
//! - [`reset()`] drops a partition's state, so that it opens with none.
//! - [`Found`] is what the dead-letter topic has, and what of it goes back to its origin.
//! - [`Committer`] takes the finished front of every ledger into one transaction.

mod client;
mod commit;
mod dead_letter;
mod feed;
mod mark;
mod open;
pub mod real;
mod redrive;
mod reset;
mod state;

pub use client::{Arrived, Class, Client, ClientError, Committed, Isolation, Offset, Rebalance, Take, TopicNow};
pub use commit::{Committer, Open, Outcome, Partitions, Summary};
pub use feed::{Ends, Fed, Feed, FeedLimits, Life, Polled};
pub use mark::{LaterFormat, Mark};
pub use open::{Gap, OpenError, Opened, Start, State, is_apart, open};
pub use redrive::{Found, Letter, REDRIVES_MAX, Unfit, marker};
pub use reset::reset;
pub use state::Kept;

/// Who a worker is to Kafka.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The worker's name in the topology.
    pub worker: String,
    /// Its consumer group.
    pub group: String,
    /// Where its dead letters go.
    pub dead_letter_topic: std::sync::Arc<str>,
    /// The largest record that the dead-letter topic takes, in bytes.
    pub dead_letter_max_bytes: usize,
    /// Its changelog, where it keeps state.
    pub state_topic: Option<std::sync::Arc<str>>,
}
