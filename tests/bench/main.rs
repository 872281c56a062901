//! What Weir costs on a real Kafka, beside a bare librdkafka that does the same or less.
//!
//! `scripts/bench` builds and runs it.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_precision_loss,
    reason = "a measurement that fails, fails; figures are for people"
)]

mod delivery;
mod drain;
mod figure;
mod logs;
mod metrics;
mod process;

use clap::{Parser, Subcommand};

/// What Weir costs, beside a bare librdkafka.
#[derive(Debug, Parser)]
#[command(name = "bench")]
struct Args {
    #[command(subcommand)]
    what: What,
    /// What Cargo says to every benchmark.
    #[arg(long, hide = true, global = true)]
    bench: bool,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The metrics worker, beside a librdkafka that reads the same topics.
    Metrics(metrics::Args),
    /// The logs worker, beside a librdkafka and a Collector that read the same topics.
    Logs(logs::Args),
    /// The delivery protocol with the counting worker, beside a librdkafka that reads, writes and commits.
    Delivery(delivery::Args),
}

fn main() {
    let args = Args::parse();
    let cores = std::thread::available_parallelism().unwrap();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap();
    let load = load.split(' ').next().unwrap();
    eprintln!("{cores} cores, load average {load}; the broker and what it takes run on the same ones");
    match args.what {
        What::Metrics(args) => metrics::run(&args),
        What::Logs(args) => logs::run(&args),
        What::Delivery(args) => delivery::run(&args),
    }
}
