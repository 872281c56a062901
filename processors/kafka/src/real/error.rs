//! What an error of librdkafka means for the protocol.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::types::RDKafkaConfRes;

use crate::client::{Class, ClientError};

/// An error of a call that can be made again whatever it was.
pub(super) fn passing(call: &'static str) -> impl Fn(KafkaError) -> ClientError {
    move |error| {
        let class = match error {
            KafkaError::ClientConfig(..) | KafkaError::ClientCreation(_) | KafkaError::Nul(_) => Class::Fatal,
            _ => Class::Retriable,
        };
        ClientError { call, why: why(&error), class }
    }
}

/// An error of a transaction's call. What librdkafka knows no way out of is fatal: the outcome is
/// unknown, and a new client finds it out.
pub(super) fn transaction(call: &'static str) -> impl Fn(KafkaError) -> ClientError {
    move |error| {
        let class = match &error {
            KafkaError::Transaction(error) if error.is_fatal() => Class::Fatal,
            KafkaError::Transaction(error) if error.txn_requires_abort() => Class::Abortable,
            KafkaError::Transaction(error) if error.is_retriable() => Class::Retriable,
            // A commit flushes first, and has not begun then.
            KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut) => Class::Retriable,
            _ => Class::Fatal,
        };
        ClientError { call, why: why(&error), class }
    }
}

/// What a client asks for, to say which ACL is missing.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    /// The group.
    pub group: String,
    /// What it does with topics, such as `READ on topic a`.
    pub topics: String,
    /// The transactional ID.
    pub transactional_id: String,
}

impl Asked {
    /// To read one topic under a group.
    pub fn read(group: &str, topic: &str) -> Self {
        Self { group: group.to_owned(), topics: format!("READ on topic {topic}"), ..Self::default() }
    }

    /// The ACL that a refusal tells of, in the words of Kafka's own tools.
    pub fn missing_acl(&self, code: RDKafkaErrorCode) -> Option<String> {
        match code {
            RDKafkaErrorCode::GroupAuthorizationFailed => Some(format!("READ on group {}", self.group)),
            RDKafkaErrorCode::TopicAuthorizationFailed => Some(self.topics.clone()),
            RDKafkaErrorCode::TransactionalIdAuthorizationFailed => {
                Some(format!("WRITE on transactional ID {}", self.transactional_id))
            }
            _ => None,
        }
    }
}

/// A call that did not come to an end in time.
pub(super) fn late(call: &'static str) -> ClientError {
    ClientError { call, why: "no answer in time".into(), class: Class::Retriable }
}

/// An error's name, without any value: a property's may be a secret.
pub(super) fn why(error: &KafkaError) -> String {
    match error {
        KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, _, name, _) => {
            format!("librdkafka has no property {name}")
        }
        KafkaError::ClientConfig(_, _, name, _) => format!("property {name} has a value that librdkafka does not take"),
        KafkaError::Transaction(error) => format!("{} ({})", error.string(), error.name()),
        error => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_property_is_named_without_its_value() {
        let refused = |name: &str| {
            let mut config = rdkafka::ClientConfig::new();
            config.set(name, "s3cret");
            match config.create_native_config() {
                Ok(_) => panic!("{name} was accepted"),
                Err(error) => passing("opening")(error),
            }
        };
        assert_eq!(refused("no.such.thing").to_string(), "opening failed: librdkafka has no property no.such.thing");
        let error = refused("security.protocol");
        assert_eq!(error.class, Class::Fatal);
        assert!(error.why.contains("security.protocol") && !error.why.contains("s3cret"), "{error}");
    }
}
