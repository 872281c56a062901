//! The client on librdkafka: on an embedded broker always, and on a real Kafka where
//! `WEIR_TEST_KAFKA` names one (`host:port`, no login).
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "the whole crate is tests; its helpers are not marked as such"
)]

mod admin;
mod embedded;
mod groups;
mod marks;
mod opening;
mod rig;
mod sizes;
mod state;
mod transactions;
