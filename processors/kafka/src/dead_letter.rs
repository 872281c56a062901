//! A dead letter as a Kafka record: the record's own key, headers and bytes, and where it is from.

use sha2::{Digest, Sha256};
use weir_contract::{DeadLetter, Output, TopicPartition};

use crate::Identity;

/// The format of the `weir.dlq.*` headers.
pub(crate) const VERSION: &str = "1";
/// How much of a letter's detail is told, in bytes: names can be as long as records.
const DETAIL_BYTES: usize = 1_000;

/// The record for the dead-letter topic. One that the topic would not take leaves its origin, its
/// size and its hash (invariant 3).
pub(crate) fn output(letter: &DeadLetter, origin: &TopicPartition, identity: &Identity) -> Output {
    let about = [
        ("worker", identity.worker.clone()),
        ("group", identity.group.clone()),
        ("topic", origin.topic.to_string()),
        ("partition", origin.partition.to_string()),
        ("offset", letter.offset.to_string()),
        ("timestamp", letter.timestamp_ms.map_or(String::new(), |ms| ms.to_string())),
        ("reason", letter.reason.to_owned()),
        ("detail", letter.detail.get(..letter.detail.floor_char_boundary(DETAIL_BYTES)).unwrap_or_default().to_owned()),
        ("version", VERSION.to_owned()),
    ];
    let mut headers: Vec<_> =
        about.into_iter().map(|(name, value)| (format!("weir.dlq.{name}"), value.into_bytes())).collect();
    let topic = identity.dead_letter_topic.clone();
    let (key, value) = (letter.key.clone(), letter.value.clone());
    let whole = Output {
        topic: topic.clone(),
        partition: None,
        key,
        value,
        headers: letter.headers.iter().chain(&headers).cloned().collect(),
    };
    if whole.framed_bytes() <= identity.dead_letter_max_bytes {
        return whole;
    }
    let value = letter.value.as_deref().unwrap_or_default();
    headers.push(("weir.dlq.size".into(), value.len().to_string().into_bytes()));
    headers.push(("weir.dlq.sha256".into(), hex(&Sha256::digest(value)).into_bytes()));
    Output { topic, partition: None, key: None, value: None, headers }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        Identity {
            worker: "metrics".into(),
            group: "weir-metrics".into(),
            dead_letter_topic: "weir-dead-letters".into(),
            dead_letter_max_bytes: 1000,
            state_topic: None,
        }
    }

    fn letter(bytes: usize) -> DeadLetter {
        DeadLetter {
            offset: 7,
            timestamp_ms: Some(5),
            key: Some(b"k".to_vec()),
            value: Some(vec![b'x'; bytes]),
            headers: vec![("own".into(), b"1".to_vec())],
            reason: "malformed",
            detail: "at byte 3".into(),
        }
    }

    fn header<'a>(output: &'a Output, name: &str) -> Option<&'a str> {
        let (_, value) = output.headers.iter().find(|(have, _)| have == name)?;
        std::str::from_utf8(value).ok()
    }

    #[test]
    fn a_dead_letter_keeps_the_record_and_says_where_it_is_from() {
        let output = output(&letter(10), &TopicPartition::new("t", 2), &identity());
        assert_eq!((output.key.as_deref(), output.value.as_deref()), (Some(&b"k"[..]), Some(&[b'x'; 10][..])));
        for (name, want) in [
            ("own", "1"),
            ("weir.dlq.worker", "metrics"),
            ("weir.dlq.group", "weir-metrics"),
            ("weir.dlq.topic", "t"),
            ("weir.dlq.partition", "2"),
            ("weir.dlq.offset", "7"),
            ("weir.dlq.timestamp", "5"),
            ("weir.dlq.reason", "malformed"),
            ("weir.dlq.detail", "at byte 3"),
            ("weir.dlq.version", "1"),
        ] {
            assert_eq!(output.headers.iter().filter(|(have, _)| have == name).count(), 1, "{name}");
            assert_eq!(header(&output, name), Some(want), "{name}");
        }
    }

    #[test]
    fn a_record_too_large_for_the_topic_leaves_origin_size_and_hash() {
        let output = output(&letter(1000), &TopicPartition::new("t", 2), &identity());
        assert_eq!((&output.key, &output.value), (&None, &None));
        assert_eq!(header(&output, "weir.dlq.offset"), Some("7"));
        assert_eq!(header(&output, "weir.dlq.size"), Some("1000"));
        let sha256 = "44f8354494a5ba03ba1792a8d3e9c534c47a9181980fde7a3f44b06ef2ae7c7f";
        assert_eq!(header(&output, "weir.dlq.sha256"), Some(sha256));
    }

    #[test]
    fn what_kafka_adds_to_a_record_counts() {
        let identity = |dead_letter_max_bytes| Identity { dead_letter_max_bytes, ..identity() };
        let whole = |max| output(&letter(10_000), &TopicPartition::new("t", 2), &identity(max)).value.is_some();
        let limit = (10_000..11_000).find(|max| whole(*max)).unwrap();
        let smallest = output(&letter(10_000), &TopicPartition::new("t", 2), &identity(limit));
        assert!(smallest.weight() + 61 + 30 <= limit, "{} in {limit}", smallest.weight());
        assert!(smallest.weight() + 300 >= limit, "{} in {limit}", smallest.weight());
    }
}
