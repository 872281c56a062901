//! The one clock: monotonic, and what it is o'clock by it.

use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;
use weir_contract::Timestamp;

/// Tells the time; a simulated one stands still until it is moved.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    start_ms: i64,
}

impl Clock {
    /// The machine's clock.
    pub fn real() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::starting_at(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }

    /// A clock that shows that time now, in milliseconds since the epoch, and goes with tokio's.
    pub fn starting_at(start_ms: i64) -> Self {
        Self { start: Instant::now(), start_ms }
    }

    /// What it is o'clock.
    pub fn now(&self) -> Timestamp {
        let elapsed = i64::try_from(self.start.elapsed().as_millis()).unwrap_or(i64::MAX);
        Timestamp(self.start_ms.saturating_add(elapsed))
    }
}
