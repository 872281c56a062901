//! `weir dlq`: what the dead-letter topic has, and what of it goes back.

use serde_json::{Value, json};
use weir_kafka::Letter;

use super::terminal::{self, block, bytes, text};
use crate::cli::{Answer, Common};
use crate::cluster::Cluster;
use crate::topology;
use letters::{Letters, Seen};

mod letters;
mod redrive;

/// The group under whose permissions dead letters are read.
pub(super) const GROUP: &str = "weir-dlq";
/// Of two that redrive at once, the later one fences the earlier.
pub(super) const TRANSACTIONAL_ID: &str = "weir-dlq-redrive";
/// How many letters a list has at most: it is sorted, and so kept in memory.
const LISTED_MAX: usize = 10_000;

/// How much of a text a cell of the list shows.
const CELL_CHARACTERS: usize = 80;

/// Flags of `weir dlq`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  weir dlq list --since 2h\n  weir dlq show --partition 0 --offset 17\n  \
    weir dlq redrive --worker metrics --dry-run")]
pub struct Args {
    /// Look or do.
    #[command(subcommand)]
    pub command: Command,
}

/// Look or do.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Lists dead letters, those that were redriven left out.
    List(ListArgs),
    /// Shows dead letters with their headers.
    Show(ShowArgs),
    /// Sends dead letters back to where their records stood, each once, for the group that rejected it.
    Redrive(RedriveArgs),
}

/// Which letters.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Filter {
    /// The dead-letter topic: logs have one of their own, weir-dead-letters-logs [default: weir-dead-letters].
    #[arg(long, value_name = "TOPIC")]
    pub letters: Option<String>,
    /// Only letters of that worker.
    #[arg(long, value_name = "NAME")]
    pub worker: Option<String>,
    /// Only letters with that reason.
    #[arg(long, value_name = "REASON")]
    pub reason: Option<String>,
    /// Only letters whose records stood in that topic.
    #[arg(long, value_name = "TOPIC")]
    pub topic: Option<String>,
    /// Only letters written then or later: 2026-01-31T12:00:00Z, or 2h for two hours ago.
    #[arg(long, value_name = "TIME", value_parser = terminal::time_ms)]
    pub since: Option<i64>,
    /// Only letters written before then.
    #[arg(long, value_name = "TIME", value_parser = terminal::time_ms)]
    pub until: Option<i64>,
    /// Only letters in that partition of the dead-letter topic.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    pub partition: Option<i32>,
    /// Only the letter at that offset of the partition.
    #[arg(long, value_name = "N", requires = "partition", value_parser = clap::value_parser!(i64).range(0..))]
    pub offset: Option<i64>,
}

/// Flags of `weir dlq list`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  weir dlq list\n  weir dlq list --worker metrics --reason malformed --since 2h\n\n\
    partition, offset: of the letter in the dead-letter topic, as --partition and --offset take them.\n\
    record: where the record stood.\n\
    redrives: how often the record had been redriven before it was rejected this time.\n\
    redriven: whether it was since.\n\n\
    Exit codes: 0 listed, 2 could not run."
)]
pub struct ListArgs {
    /// Which letters.
    #[command(flatten)]
    pub filter: Filter,
    /// Those too that were redriven.
    #[arg(long)]
    pub all: bool,
    /// Write one JSON object instead: `letters`, `more`.
    #[arg(long)]
    pub json: bool,
}

/// Flags of `weir dlq show`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  weir dlq show --partition 0 --offset 17\n  \
    weir dlq show --reason malformed --since 10m --payload\n\n\
    Exit codes: 0 shown, 1 there is no such letter, 2 could not run.")]
pub struct ShowArgs {
    /// Which letters.
    #[command(flatten)]
    pub filter: Filter,
    /// Those too that were redriven; a letter named by its offset is shown in any case.
    #[arg(long)]
    pub all: bool,
    /// Show keys and values: as text where they are UTF-8, else as a dump.
    #[arg(long)]
    pub payload: bool,
}

/// Flags of `weir dlq redrive`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  weir dlq redrive --worker metrics --reason malformed --dry-run\n  \
    weir dlq redrive --partition 0 --offset 17 --yes\n\n\
    Each goes back to its own topic and partition, in a transaction with a mark on the letter: it is redriven once, \
    however often this is run or interrupted. Workers of other groups pass over it.\n\n\
    Exit codes: 0 none of them is left, 1 some stay, or not agreed to, 2 could not run, or it stopped on the way.")]
pub struct RedriveArgs {
    /// Which letters.
    #[command(flatten)]
    pub filter: Filter,
    /// Show what would be redriven, and change nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Go ahead without asking; required where there is no terminal.
    #[arg(long)]
    pub yes: bool,
}

/// Lists, shows or redrives dead letters.
///
/// # Errors
/// Kafka does not answer, there is no dead-letter topic, or a redrive stopped on the way.
pub fn run(args: &Args, common: &Common) -> anyhow::Result<Answer> {
    let (topology, _) = topology::load(common.topology.as_deref())?;
    match &args.command {
        Command::List(args) => list(args, &Cluster::reach(&topology, GROUP)?),
        Command::Show(args) => show(args, &Cluster::reach(&topology, GROUP)?),
        Command::Redrive(args) => redrive::run(args, &topology),
    }
}

impl Filter {
    /// Whether a letter is one of them.
    fn takes(&self, letter: &Letter) -> bool {
        let same = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|wanted| wanted == is);
        same(&self.worker, &letter.worker)
            && same(&self.reason, &letter.reason)
            && same(&self.topic, &letter.origin.topic)
            && self.since.is_none_or(|since| letter.written_ms.is_some_and(|ms| ms >= since))
            && self.until.is_none_or(|until| letter.written_ms.is_some_and(|ms| ms < until))
            && self.offset.is_none_or(|offset| letter.offset == offset)
    }
}

fn list(args: &ListArgs, cluster: &Cluster) -> anyhow::Result<Answer> {
    let mut listed: Vec<(Letter, bool)> = Vec::new();
    let mut more = false;
    Letters::find(cluster, &args.filter)?.each(&mut |Seen { letter, redriven, .. }| {
        if args.all || !redriven {
            more = listed.len() == LISTED_MAX;
            if !more {
                listed.push((letter, redriven));
            }
        }
        Ok(!more)
    })?;
    listed.sort_by_key(|(letter, _)| (letter.written_ms, letter.partition, letter.offset));
    if args.json {
        let letters: Vec<_> = listed.iter().map(|(letter, redriven)| letter_json(letter, *redriven)).collect();
        super::print(&terminal::json(&json!({"letters": letters, "more": more})))?;
    } else {
        super::print(&table(&listed))?;
        if more {
            super::remark(&format!("there are more than these {LISTED_MAX}: narrow it down"));
        }
    }
    Ok(Answer::Yes)
}

fn letter_json(letter: &Letter, redriven: bool) -> Value {
    json!({
        "partition": letter.partition,
        "offset": letter.offset,
        "written_ms": letter.written_ms,
        "worker": letter.worker,
        "group": letter.group,
        "topic": &*letter.origin.topic,
        "origin_partition": letter.origin.partition,
        "origin_offset": letter.origin_offset,
        "origin_ms": letter.origin_ms,
        "reason": letter.reason,
        "detail": letter.detail,
        "key_bytes": letter.key_bytes,
        "value_bytes": letter.value_bytes,
        "redrives": letter.redrives,
        "redriven": redriven,
    })
}

fn table(listed: &[(Letter, bool)]) -> String {
    let mut table = super::table([
        "partition",
        "offset",
        "written",
        "worker",
        "record",
        "reason",
        "detail",
        "bytes",
        "redrives",
        "redriven",
    ]);
    for (letter, redriven) in listed {
        table.add_row([
            letter.partition.to_string(),
            letter.offset.to_string(),
            terminal::time(letter.written_ms),
            cell(&letter.worker),
            format!("{}[{}]@{}", cell(&letter.origin.topic), letter.origin.partition, letter.origin_offset),
            cell(&letter.reason),
            cell(&letter.detail),
            letter.value_bytes.map_or_else(|| "-".to_owned(), |bytes| bytes.to_string()),
            letter.redrives.to_string(),
            if *redriven { "yes" } else { "no" }.to_owned(),
        ]);
    }
    super::lines(&table)
}

/// A text of a header as a cell of the table, its beginning and its end.
fn cell(header: &str) -> String {
    let shown = text(header);
    let characters = shown.chars().count();
    if characters <= CELL_CHARACTERS {
        return shown;
    }
    let half = CELL_CHARACTERS / 2;
    let (head, tail) = (shown.chars().take(half), shown.chars().skip(characters - half));
    head.chain("...".chars()).chain(tail).collect()
}

fn show(args: &ShowArgs, cluster: &Cluster) -> anyhow::Result<Answer> {
    let mut answer = Answer::No;
    Letters::find(cluster, &args.filter)?.each(&mut |seen| {
        if args.all || args.filter.offset.is_some() || !seen.redriven {
            super::print(&shown(&seen, args.payload))?;
            answer = Answer::Yes;
        }
        Ok(true)
    })?;
    if answer == Answer::No {
        super::remark("there is no such letter");
    }
    Ok(answer)
}

/// A letter with its headers; with key and value only where they are wanted.
fn shown(seen: &Seen<'_>, payload: bool) -> String {
    let letter = &seen.letter;
    let size = |bytes: Option<usize>| bytes.map_or_else(|| "none".to_owned(), |bytes| format!("{bytes} bytes"));
    let mut lines = format!(
        "partition {} offset {}: written {}, key {}, value {}{}\n",
        letter.partition,
        letter.offset,
        terminal::time(letter.written_ms),
        size(letter.key_bytes),
        size(letter.value_bytes),
        if seen.redriven { ", redriven" } else { "" },
    );
    for (name, value) in &letter.headers {
        lines += &format!("  {}: {}\n", text(name), bytes(value));
    }
    for (name, part) in [("key", seen.key), ("value", seen.value)] {
        if let Some(part) = part.filter(|_| payload) {
            lines += &format!("  {name}\n{}", block(part, "    "));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_shortened_to_its_ends() {
        assert_eq!(cell(&"é".repeat(80)), "é".repeat(80));
        let long = format!("{}{}", "a".repeat(60), "é".repeat(60));
        assert_eq!(cell(&long), format!("{}...{}", "a".repeat(40), "é".repeat(40)));
        assert_eq!(cell("\u{1b}"), "\\u{1b}");
    }
}
