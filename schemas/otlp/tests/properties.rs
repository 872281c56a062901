//! The views and OTLP JSON against a generated decoder, over arbitrary messages and bytes.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

#[path = "support/strategies.rs"]
mod strategies;
#[path = "support/mod.rs"]
mod support;

use proptest::prelude::*;
use prost::Message;
use strategies::{logs_data, metrics_data, traces_data};
use support::{SIGNALS, assert_agreement, expected, walked};
use weir_otlp::{Hints, Signal, decode, json_to_protobuf};

/// An arbitrary request of any signal: its bytes and its JSON.
fn request() -> impl Strategy<Value = (Signal, Vec<u8>, String)> {
    let json = |data: &dyn erased::Json| data.json();
    prop_oneof![
        metrics_data().prop_map(move |d| (Signal::Metrics, d.encode_to_vec(), json(&d))),
        traces_data().prop_map(move |d| (Signal::Traces, d.encode_to_vec(), json(&d))),
        logs_data().prop_map(move |d| (Signal::Logs, d.encode_to_vec(), json(&d))),
    ]
}

mod erased {
    pub trait Json {
        fn json(&self) -> String;
    }

    impl<T: serde::Serialize> Json for T {
        fn json(&self) -> String {
            serde_json::to_string(self).unwrap()
        }
    }
}

/// One change to a payload: a byte set, bytes put in, bytes taken out.
#[derive(Debug, Clone)]
enum Mutation {
    Set(prop::sample::Index, u8),
    Insert(prop::sample::Index, Vec<u8>),
    Remove(prop::sample::Index, prop::sample::Index),
    Double(prop::sample::Index, prop::sample::Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        (index(), any::<u8>()).prop_map(|(at, byte)| Mutation::Set(at, byte)),
        (index(), prop::collection::vec(any::<u8>(), 1..4)).prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
        (index(), index()).prop_map(|(from, to)| Mutation::Remove(from, to)),
        (index(), index()).prop_map(|(from, to)| Mutation::Double(from, to)),
    ]
}

impl Mutation {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let place = |index: &prop::sample::Index| index.index(bytes.len() + 1);
        let range = |from, to| {
            let (from, to) = (place(from), place(to));
            from.min(to)..from.max(to)
        };
        match self {
            Self::Set(at, byte) => {
                let at = place(at);
                if let Some(old) = bytes.get_mut(at) {
                    *old = *byte;
                }
            }
            Self::Insert(at, new) => {
                let at = place(at);
                bytes.splice(at..at, new.iter().copied());
            }
            Self::Remove(from, to) => drop(bytes.drain(range(from, to))),
            Self::Double(from, to) => {
                let range = range(from, to);
                let copy = bytes[range.clone()].to_vec();
                bytes.splice(range.start..range.start, copy);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn every_message_reads_as_the_generated_decoder_reads_it((signal, bytes, _) in request()) {
        prop_assert_eq!(walked(signal, &bytes).unwrap(), expected(signal, &bytes).unwrap());
    }

    #[test]
    fn a_changed_message_reads_the_same_or_is_refused(
        (signal, mut bytes, _) in request(),
        mutations in prop::collection::vec(mutation(), 1..4),
    ) {
        for mutation in mutations {
            mutation.apply(&mut bytes);
        }
        assert_agreement(signal, &bytes);
    }

    #[test]
    fn arbitrary_bytes_read_the_same_or_are_refused(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        for signal in SIGNALS {
            assert_agreement(signal, &bytes);
            if let Ok(payload) = decode(signal, &bytes, Hints::default()) {
                assert_agreement(signal, &payload);
            }
            if let Ok(payload) = json_to_protobuf(signal, &bytes) {
                assert_agreement(signal, &payload);
            }
        }
    }

    #[test]
    fn json_becomes_the_protobuf_of_the_same_message((signal, bytes, json) in request()) {
        let got = json_to_protobuf(signal, json.as_bytes()).unwrap();
        prop_assert_eq!(expected(signal, &got).unwrap(), expected(signal, &bytes).unwrap());
        prop_assert_eq!(walked(signal, &got).unwrap(), expected(signal, &bytes).unwrap());
    }

    #[test]
    fn changed_json_is_a_request_or_an_error(
        (signal, _, json) in request(),
        mutations in prop::collection::vec(mutation(), 1..4),
    ) {
        let mut text = json.into_bytes();
        for mutation in mutations {
            mutation.apply(&mut text);
        }
        if let Ok(bytes) = json_to_protobuf(signal, &text) {
            prop_assert!(bytes.len() <= 4 * text.len());
            assert_agreement(signal, &bytes);
        }
    }
}
