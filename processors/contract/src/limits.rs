//! How large a record may be.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{BATCH_OVERHEAD_BYTES, Output};

/// The largest records that topics take, in bytes: their `max.message.bytes`.
#[derive(Clone, Debug)]
pub struct Limits {
    /// By topic.
    pub topics: Arc<BTreeMap<Arc<str>, usize>>,
    /// Of every other topic.
    pub other_bytes: usize,
    /// Of the changelog.
    pub state_bytes: usize,
}

/// A record over the limit of its topic, which was not taken: it would abort the same transaction for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("record of {bytes} bytes is over its topic's limit of {limit_bytes} bytes")]
pub struct TooLarge {
    /// What it takes at most, with what Kafka adds.
    pub bytes: usize,
    /// What the topic takes.
    pub limit_bytes: usize,
}

impl Limits {
    /// The same limit for everything.
    pub fn all(bytes: usize) -> Self {
        Self { topics: Arc::default(), other_bytes: bytes, state_bytes: bytes }
    }

    /// Whether the output's topic takes it.
    ///
    /// # Errors
    /// It does not.
    pub fn output(&self, output: &Output) -> Result<(), TooLarge> {
        fits(output.framed_bytes(), self.topics.get(&output.topic).copied().unwrap_or(self.other_bytes))
    }

    /// Whether the changelog takes an entry of that source topic.
    ///
    /// # Errors
    /// It does not.
    pub fn state(&self, topic: &str, key: &[u8], value: &[u8]) -> Result<(), TooLarge> {
        // The key begins with its kind, the topic and a zero byte.
        fits(2 + topic.len() + key.len() + value.len() + BATCH_OVERHEAD_BYTES, self.state_bytes)
    }
}

fn fits(bytes: usize, limit_bytes: usize) -> Result<(), TooLarge> {
    if bytes > limit_bytes { Err(TooLarge { bytes, limit_bytes }) } else { Ok(()) }
}
