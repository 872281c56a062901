//! The command line: what is common to all commands, and which there are.
//!
//! Exit codes: 0, done or yes; 1, the answer is no; 2, it could not run (which is clap's for wrong flags, too).

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Parser, Subcommand, ValueEnum};
use tracing_subscriber::EnvFilter;

use crate::commands::{check, completions, dlq, generate, lag, mask, replay, run, skip, state, topics, up};

/// The exit code of a command that could not run.
pub const COULD_NOT_RUN: u8 = 2;

/// The client library's own lines, which `weir_kafka` says in its own words, at a limited rate.
const QUIET: &str = "rdkafka=off";

/// The Kafka consumer fleet for OpenTelemetry.
#[derive(Debug, Parser)]
#[command(name = "weir", version, after_help = "Exit codes: 0 done or yes, 1 the answer is no, 2 could not run.")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// What every command takes.
    #[command(flatten)]
    pub common: Common,
}

/// The commands, each a file under `commands`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Brings everything up in one process: a Kafka, a generator, the workers, receivers, and a verdict.
    Up(up::Args),
    /// Runs workers, as a container does.
    Run(run::Args),
    /// Reads the topology, reports every problem with its position, and shows the resolved fleet.
    Check(check::Args),
    /// Makes the cluster's topics those of the topology; deletes nothing.
    Topics(topics::Args),
    /// Runs a worker over a part of its topics once more, beside the live group.
    Replay(replay::Args),
    /// Shows how far each worker is behind, and what holds it.
    Lag(lag::Args),
    /// Passes over one record that a worker cannot get past.
    Skip(skip::Args),
    /// Lists and shows dead letters, and sends them back to where their records stood.
    Dlq(dlq::Args),
    /// Shows what a worker has remembered, and drops it.
    State(state::Args),
    /// Shows what masking makes of lines: standard input, masked, to standard output.
    Mask(mask::Args),
    /// Writes paced OTLP load into the topics.
    Generate(generate::Args),
    /// Writes a completion script for a shell to standard output.
    Completions(completions::Args),
}

/// Flags that every command takes.
#[derive(Debug, Args)]
pub struct Common {
    /// The topology file [default: ./topology.toml, or the built-in defaults where there is none].
    #[arg(long, global = true, value_name = "PATH")]
    pub topology: Option<PathBuf>,
    /// How log lines on standard error are written.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// The least important level that is logged [default: RUST_LOG, or info].
    #[arg(long, global = true, value_enum)]
    pub log_level: Option<LogLevel>,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// How important a log line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// Data was lost, or a person is needed.
    Error,
    /// Something is recovering.
    Warn,
    /// The life of workers and partitions.
    Info,
    /// Each batch and request.
    Debug,
    /// Everything.
    Trace,
}

/// What a command found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Done, or all is well.
    Yes,
    /// It ran, and what it was asked is not so.
    No,
}

impl From<Answer> for ExitCode {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Yes => Self::SUCCESS,
            Answer::No => Self::FAILURE,
        }
    }
}

impl Cli {
    /// Starts logging and runs the command.
    ///
    /// # Errors
    /// Why it could not run; what a command found is no error, but its [`Answer`].
    pub fn run(&self) -> anyhow::Result<Answer> {
        self.common.start_logging()?;
        match &self.command {
            Command::Up(args) => up::run(args, &self.common),
            Command::Run(args) => run::run(args, &self.common),
            Command::Check(args) => check::run(args, &self.common),
            Command::Topics(args) => topics::run(args, &self.common),
            Command::Replay(args) => replay::run(args, &self.common),
            Command::Lag(args) => lag::run(args, &self.common),
            Command::Skip(args) => skip::run(args, &self.common),
            Command::Dlq(args) => dlq::run(args, &self.common),
            Command::State(args) => state::run(args, &self.common),
            Command::Mask(args) => mask::run(args, &self.common),
            Command::Generate(args) => generate::run(args, &self.common),
            Command::Completions(args) => completions::run(args),
        }
    }
}

impl Common {
    /// Log lines go to standard error, so that standard output is a command's answer and nothing else.
    fn start_logging(&self) -> anyhow::Result<()> {
        let filter = match (self.log_level, std::env::var("RUST_LOG")) {
            (Some(level), _) => EnvFilter::new(format!("{},{QUIET}", level.name())),
            (None, Ok(directives)) if !directives.is_empty() => {
                EnvFilter::try_new(directives).context("RUST_LOG is no filter, such as info or weir_kafka=debug")?
            }
            (None, _) => EnvFilter::new(format!("{},{QUIET}", LogLevel::Info.name())),
        };
        let lines = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal());
        let started = match self.log_format {
            LogFormat::Text => lines.try_init(),
            LogFormat::Json => lines.json().try_init(),
        };
        started.map_err(|error| anyhow::anyhow!(error).context("could not start logging"))
    }
}

impl LogLevel {
    fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}
