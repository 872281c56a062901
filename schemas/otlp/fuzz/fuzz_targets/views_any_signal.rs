//! Every signal reads as a generated decoder reads it, or is refused.

#![no_main]

#[path = "../../tests/support/mod.rs"]
mod support;

libfuzzer_sys::fuzz_target!(|payload: &[u8]| {
    for signal in support::SIGNALS {
        support::assert_agreement(signal, payload);
    }
});
