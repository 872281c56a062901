//! One file a command: its flags, and what it does with them. `terminal` is what several show and ask.

pub mod check;
pub mod completions;
pub mod dlq;
pub mod generate;
pub mod lag;
pub mod mask;
pub mod replay;
pub mod run;
pub mod skip;
pub mod state;
pub mod terminal;
pub mod topics;
pub mod up;

use std::io::{ErrorKind, Write};

use anyhow::Context;
use comfy_table::{Table, presets};

/// Writes a command's answer to standard output; a reader that has seen enough (`| head`) is no error.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("could not write to standard output"),
    }
}

/// Writes a remark for people to standard error.
pub(crate) fn remark(text: &str) {
    // A remark that nobody can read is not worth failing for.
    writeln!(std::io::stderr(), "weir: {text}").unwrap_or_default();
}

/// A table for people, without lines around it.
pub(crate) fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    table
}

/// The lines of a table, without blanks at their ends.
pub(crate) fn lines(table: &Table) -> String {
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}
