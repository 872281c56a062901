//! `weir`: one command, one answer, one exit code.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use weir_fleet::{chain, cli};

/// From how many bytes on a buffer is the system's own: glibc's default, and there the start of its adaptation.
#[cfg(target_env = "gnu")]
const LARGE_BUFFER_BYTES: libc::c_int = 128 << 10;

fn main() -> ExitCode {
    give_large_buffers_back();
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

/// Has large buffers go back to the system when they are freed. Left alone, glibc raises the size from which on they
/// do to that of the largest one it has seen, and a busy process comes to hold several times its budget.
fn give_large_buffers_back() {
    #[cfg(target_env = "gnu")]
    #[expect(unsafe_code, reason = "there is no safe way to tell the allocator")]
    // SAFETY: two settings that are documented, before there is any other thread. Refused, they change nothing.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE_BUFFER_BYTES);
        libc::mallopt(libc::M_TRIM_THRESHOLD, LARGE_BUFFER_BYTES);
    }
}
