//! Simulation, broker, end-to-end and tidiness tests; the library is their harness.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::indexing_slicing,
    reason = "a step of a test that fails, fails the test"
)]

pub mod between;
pub mod counting;
pub mod http;
pub mod sim;
pub mod stack;
pub mod wait;
