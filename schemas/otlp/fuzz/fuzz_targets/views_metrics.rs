//! Metrics read as a generated decoder reads them, or are refused.

#![no_main]

#[path = "../../tests/support/mod.rs"]
mod support;

libfuzzer_sys::fuzz_target!(|payload: &[u8]| {
    support::assert_agreement(weir_otlp::Signal::Metrics, payload);
});
