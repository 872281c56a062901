//! Tests against the real Kafka, Prometheus and OpenTelemetry Collector of `scripts/stack`.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a step of a test that fails, fails the test"
)]
#![expect(clippy::print_stdout, reason = "what a test measured is for whoever looks")]

mod aborts;
mod bad_input;
mod budget;
mod commands;
mod commits;
mod delivery;
mod endpoints;
mod exits;
mod faults;
mod gaps;
mod gateway;
mod hearing;
mod job;
mod letters;
mod load;
mod logs;
mod main_job;
mod markers;
mod measures;
mod receiver;
mod replay;
mod screen;
mod security;
mod sink_trouble;
mod stack;
mod state;
mod translation;
mod trouble;
mod up;
mod up_faults;
