//! Waiting for what comes about in its own time.

use std::fmt::Display;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Asks `condition` until it is `Ok`, every 50 ms, for `deadline` at most.
///
/// # Panics
/// When the deadline passes; the message is the last answer of `condition`.
#[track_caller]
pub fn wait_until<T, E: Display>(deadline: Duration, what: &str, mut condition: impl FnMut() -> Result<T, E>) -> T {
    let start = Instant::now();
    loop {
        match condition() {
            Ok(value) => return value,
            Err(last) if start.elapsed() > deadline => panic!("no {what} within {deadline:?}: {last}"),
            Err(_) => sleep(Duration::from_millis(50)),
        }
    }
}
