//! `weir`: one command, one answer, one exit code.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use weir_fleet::{chain, cli};

/// The allocator of everything in the process, librdkafka's C too. Buffers of megabytes come and go with each fetch and
/// each batch: this one hands them out again, so that the system need not clear every page of them anew, and gives back
/// what is not used for ten seconds. (glibc's gives them back at once, at a third of all that Weir costs, or, if it may
/// keep them, comes to hold several times the budget.)
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match cli.run() {
        Ok(answer) => answer.into(),
        Err(error) => {
            // Nowhere is left to tell it if this fails.
            writeln!(std::io::stderr(), "weir: {}", chain(error.as_ref())).unwrap_or_default();
            ExitCode::from(cli::COULD_NOT_RUN)
        }
    }
}
