//! `weir completions`: a completion script for a shell.

use clap::CommandFactory;

use crate::cli::{Answer, Cli};

/// Flags of `weir completions`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  weir completions bash > ~/.local/share/bash-completion/completions/weir")]
pub struct Args {
    /// Which shell.
    pub shell: clap_complete::Shell,
}

/// Writes the script.
///
/// # Errors
/// Standard output cannot be written.
pub fn run(args: &Args) -> anyhow::Result<Answer> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "weir", &mut script);
    super::print(&String::from_utf8_lossy(&script))?;
    Ok(Answer::Yes)
}
