//! `weir`: one command, one answer, one exit code.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use weir_fleet::{chain, cli};

/// The allocator of everything in the process, librdkafka's C too. Buffers of megabytes come and go with each fetch and
/// each batch: this one hands them out again, so that the system need not clear every page of them anew. (glibc's gives
/// them back at once, at a third of all that Weir costs, or, if it may keep them, comes to hold several times the budget.)
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What is free goes back to the system within a tenth of a second, as long as there is work: with jemalloc's own ten
/// seconds a process held twice as much beside its budget, for no less CPU. `MALLOC_CONF` in the environment overrules it.
#[expect(unsafe_code, reason = "jemalloc reads this name")]
// SAFETY: jemalloc declares it as a pointer to a text that ends with a zero byte, which a thin reference to one is.
#[unsafe(export_name = "malloc_conf")]
pub static MALLOC_CONF: &[u8; 36] = b"dirty_decay_ms:100,muzzy_decay_ms:0\0";

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
