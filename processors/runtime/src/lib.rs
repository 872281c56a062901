//! Runs a worker: polls, processes, delivers and commits, on threads for real and single-threaded
//! on a simulated clock for tests, the same code.
//!
//! - [`run`] is a worker from its start to its end: one session with Kafka after the other.
//! - `session` is the worker loop, on the poll thread.
//! - `lane` processes batches; a partition stays on its lane.
//! - `shard` delivers to the outside, one request at a time.
//! - `commits` commits on an interval and lets go of partitions.
//! - `opening` opens a partition, beside them all.

mod clock;
mod commits;
mod instruments;
mod lag;
mod lane;
mod opening;
mod retry;
mod session;
mod shard;
mod status;
mod threads;
mod worker;

pub use clock::Clock;
pub use instruments::{Instruments, Totals};
pub use status::{Health, PartitionStatus, Status, WorkerStatus};
pub use threads::Threads;
pub use worker::{Defect, Outlet, Settings, Setup, Worker, run};

/// An error and its causes, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    line
}
