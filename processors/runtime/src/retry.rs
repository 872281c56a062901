//! How long to wait before trying again.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

/// The longest pause between two tries of anything.
const LONGEST: Duration = Duration::from_secs(30);

/// Pauses that grow, with jitter, for as long as it takes: a retryable failure becomes lag, never
/// loss.
pub(crate) struct Backoff {
    seed: u64,
    pauses: ExponentialBackoff,
}

impl Backoff {
    /// Begins with a tenth of a second.
    pub fn new(seed: u64) -> Self {
        let pauses = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(100))
            .with_max_delay(LONGEST / 2) // the jitter adds as much again
            .with_jitter()
            .with_jitter_seed(seed)
            .without_max_times()
            .build();
        Self { seed, pauses }
    }

    /// The next pause.
    pub fn pause(&mut self) -> Duration {
        self.pauses.next().unwrap_or(LONGEST)
    }

    /// Begins again, after a success.
    pub fn reset(&mut self) {
        *self = Self::new(self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_stay_bounded_for_ever() {
        let mut backoff = Backoff::new(7);
        let first = backoff.pause();
        assert!(first >= Duration::from_millis(100) && first <= Duration::from_millis(200), "{first:?}");
        let later: Vec<_> = (0..1000).map(|_| backoff.pause()).collect();
        assert!(later.iter().all(|pause| *pause <= LONGEST));
        assert!(later[10] >= LONGEST / 2);
        backoff.reset();
        assert!(backoff.pause() <= Duration::from_millis(200));
    }
}
