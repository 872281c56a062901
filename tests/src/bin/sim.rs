//! The simulation for as long as one likes; `scripts/sim` says how.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command")]

use std::io::{IsTerminal, stderr};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use parking_lot::Mutex;
use weir_tests::sim::Many;

/// How often a run that nobody watches says how far it is.
const SAY: Duration = Duration::from_mins(1);

/// Runs the simulation over many seeds.
#[derive(Debug, Parser)]
struct Options {
    /// For so long; else until the seeds are through.
    #[arg(long)]
    hours: Option<f64>,
    /// So many seeds.
    #[arg(long, default_value_t = 10_000, conflicts_with = "hours")]
    seeds: u64,
    /// From this one on.
    #[arg(long, default_value_t = 0)]
    first: u64,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let many = Many {
        first: options.first,
        seeds: if options.hours.is_some() { u64::MAX } else { options.seeds },
        lasting: options.hours.map(|hours| Duration::from_secs_f64(hours * 3600.0)),
    };
    let (started, said) = (Instant::now(), Mutex::new(Instant::now()));
    let watched = stderr().is_terminal();
    let found = many.run(None, |seeds, failed| {
        let line = || format!("{seeds} seeds, {} s, {failed} failures", started.elapsed().as_secs());
        let mut said = said.lock();
        if watched {
            eprint!("\r{}\x1b[K", line());
        } else if said.elapsed() >= SAY {
            *said = Instant::now();
            eprintln!("{}", line());
        }
    });
    if watched {
        eprint!("\r\x1b[K");
    }
    for (what, count) in &found.covered {
        println!("{count:>12}  {what}");
    }
    print!("{}", found.failures());
    let last = many.first + found.seeds.saturating_sub(1);
    println!(
        "{} seeds ({} to {last}), {} s, {} failures",
        found.seeds,
        many.first,
        found.took.as_secs(),
        found.failed.len()
    );
    if found.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
