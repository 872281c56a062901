//! librdkafka's own log lines and errors, at a limited rate.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::statistics::Statistics;

use super::error::why;

/// How long the same kind of line is held back: a broker that is away would fill the log.
const PAUSE: Duration = Duration::from_secs(10);

/// What a client logs.
pub(super) struct Log {
    client: &'static str,
    /// By kind of line, a closed set: when it was logged last, and how many were held back since.
    seen: Mutex<HashMap<String, (Instant, u64)>>,
}

impl Log {
    pub fn new(client: &'static str) -> Self {
        Self { client, seen: Mutex::new(HashMap::new()) }
    }

    /// How many lines of that kind were held back, if it is time for one.
    fn due(&self, kind: &str) -> Option<u64> {
        let mut seen = self.seen.lock();
        let Some((last, held)) = seen.get_mut(kind) else {
            seen.insert(kind.to_owned(), (Instant::now(), 0));
            return Some(0);
        };
        if last.elapsed() < PAUSE {
            *held += 1;
            return None;
        }
        *last = Instant::now();
        Some(std::mem::take(held))
    }

    /// An error that the client gets over by itself.
    pub fn passing(&self, error: &KafkaError) {
        let error = why(error);
        if let Some(held_back) = self.due(&error) {
            tracing::warn!(client = self.client, error, held_back, "kafka client error");
        }
    }
}

impl ClientContext for Log {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, said: &str) {
        let client = self.client;
        match level {
            // Properties of the other kind of client; both get the same ones.
            _ if facility == "CONFWARN" => tracing::debug!(client, facility, said, "librdkafka"),
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                tracing::error!(client, facility, said, "librdkafka");
            }
            RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning => {
                if let Some(held_back) = self.due(facility) {
                    tracing::warn!(client, facility, said, held_back, "librdkafka");
                }
            }
            _ => tracing::debug!(client, facility, said, "librdkafka"),
        }
    }

    fn stats(&self, _: Statistics) {}

    fn stats_raw(&self, _: &[u8]) {}

    fn error(&self, error: KafkaError, _: &str) {
        // The end of a partition is what a reader reads for.
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::PartitionEOF) {
            self.passing(&error);
        }
    }
}

impl ConsumerContext for Log {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_kind_of_line_is_held_back() {
        let log = Log::new("test");
        assert_eq!(log.due("FAIL"), Some(0));
        assert_eq!(log.due("FAIL"), None);
        assert_eq!(log.due("SSL"), Some(0));
        log.seen.lock().get_mut("FAIL").unwrap().0 -= PAUSE;
        assert_eq!(log.due("FAIL"), Some(1));
    }
}
