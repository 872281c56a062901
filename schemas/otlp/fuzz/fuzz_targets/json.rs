//! Any text becomes protobuf that the views read, or an error.

#![no_main]

#[path = "../../tests/support/mod.rs"]
mod support;

libfuzzer_sys::fuzz_target!(|value: &[u8]| {
    for signal in support::SIGNALS {
        if let Ok(payload) = weir_otlp::decode(signal, value, weir_otlp::Hints::default()) {
            support::assert_agreement(signal, &payload);
        }
        if let Ok(payload) = weir_otlp::json_to_protobuf(signal, value) {
            assert!(payload.len() <= 4 * value.len());
            support::assert_agreement(signal, &payload);
        }
    }
});
