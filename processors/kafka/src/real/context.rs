//! librdkafka's own log lines and errors, at a limited rate.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::statistics::Statistics;

use super::error::{Asked, why};
use crate::client::ClientError;

/// How long the same kind of line is held back: a broker that is away would fill the log.
const PAUSE: Duration = Duration::from_secs(10);

/// For how long the last connection's failure explains calls that get no answer: librdkafka tells the same one
/// again only after half a minute.
const TROUBLE: Duration = Duration::from_secs(60);

/// What a client logs, and remembers of it.
pub(super) struct Log {
    client: &'static str,
    /// Why a connection failed last.
    trouble: Mutex<Option<(Instant, RDKafkaErrorCode, String)>>,
    /// By kind of line, a closed set: when it was logged last, and how many were held back since.
    seen: Mutex<HashMap<String, (Instant, u64)>>,
}

impl Log {
    pub fn new(client: &'static str) -> Self {
        Self { client, trouble: Mutex::default(), seen: Mutex::new(HashMap::new()) }
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

    /// Notes why a connection failed. Broken ones are what follows a refusal, so they do not replace it.
    pub fn note(&self, error: &KafkaError, reason: &str) {
        use RDKafkaErrorCode::{Authentication, BrokerTransportFailure, Resolve, SSL};
        let Some(code @ (Authentication | SSL | Resolve | BrokerTransportFailure)) = error.rdkafka_error_code() else {
            return;
        };
        let mut trouble = self.trouble.lock();
        let refused = trouble
            .as_ref()
            .is_some_and(|(at, before, _)| at.elapsed() < TROUBLE && matches!(before, Authentication | SSL));
        if code != BrokerTransportFailure || !refused {
            *trouble = Some((Instant::now(), code, plain(reason)));
        }
    }

    /// Adds what helps to a failed call: the ACL that is missing, or why no broker answers.
    pub fn explain(&self, error: &KafkaError, mut told: ClientError, asked: &Asked) -> ClientError {
        use RDKafkaErrorCode::{AllBrokersDown, BrokerTransportFailure, OperationTimedOut, Resolve};
        let code = error.rdkafka_error_code();
        if let Some(acl) = code.and_then(|code| asked.missing_acl(code)) {
            told.why = format!("{}: the ACL {acl} is missing", told.why);
        } else if let Some(OperationTimedOut | BrokerTransportFailure | AllBrokersDown | Resolve) = code
            && let Some((_, _, reason)) = self.trouble.lock().as_ref().filter(|(at, ..)| at.elapsed() < TROUBLE)
        {
            told.why = format!("{}: {reason}", told.why);
        }
        told
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

    fn error(&self, error: KafkaError, reason: &str) {
        self.note(&error, reason);
        // The end of a partition is what a reader reads for.
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::PartitionEOF) {
            self.passing(&error);
        }
    }
}

impl ConsumerContext for Log {}

/// The reason of a failed connection, where the words of TLS say little or lead astray.
fn plain(reason: &str) -> String {
    const BROKERS: &str = "certificate verify failed";
    const OURS: &str = " alert certificate ";
    if let Some((before, _)) = reason.split_once(BROKERS) {
        return format!(
            "{before}{BROKERS}: the broker's certificate has expired, is of another host, or is not signed by an \
             authority of kafka.security.ca_file"
        );
    }
    if reason.contains(OURS) {
        return format!(
            "{reason}: the broker does not take the certificate of kafka.security.certificate_file: it has expired, \
             or is not signed by an authority that the broker knows"
        );
    }
    reason.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_without_an_answer_says_why_the_connection_failed() {
        use RDKafkaErrorCode::{Authentication, BrokerTransportFailure, OperationTimedOut};
        let log = Log::new("test");
        let late = KafkaError::MetadataFetch(OperationTimedOut);
        let told = || ClientError { call: "topics", why: "late".into(), class: crate::Class::Retriable };
        assert_eq!(log.explain(&late, told(), &Asked::default()).why, "late");
        log.note(&KafkaError::Global(BrokerTransportFailure), "refused");
        assert_eq!(log.explain(&late, told(), &Asked::default()).why, "late: refused");
        log.note(&KafkaError::Global(Authentication), "wrong password");
        log.note(&KafkaError::Global(BrokerTransportFailure), "disconnected");
        assert_eq!(log.explain(&late, told(), &Asked::default()).why, "late: wrong password");
    }

    #[test]
    fn a_refusal_names_the_acl_that_is_missing() {
        let asked = Asked { group: "g".into(), topics: "READ on topic t".into(), transactional_id: "g-1".into() };
        for (code, acl) in [
            (RDKafkaErrorCode::GroupAuthorizationFailed, "READ on group g"),
            (RDKafkaErrorCode::TopicAuthorizationFailed, "READ on topic t"),
            (RDKafkaErrorCode::TransactionalIdAuthorizationFailed, "WRITE on transactional ID g-1"),
        ] {
            let told = ClientError { call: "x", why: "refused".into(), class: crate::Class::Fatal };
            let told = Log::new("test").explain(&KafkaError::Global(code), told, &asked);
            assert_eq!(told.why, format!("refused: the ACL {acl} is missing"));
        }
    }

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
