//! `weir up`: everything in one process, for a first look and for tests.

use std::collections::BTreeMap;
use std::time::Duration;

use weir_generate::{Config, Incident, Occurrence, Signal};

use super::print;
use super::run::runtime;
use crate::cli::{Answer, Common};
use crate::up::{self, Options};
use crate::{load, signals, topology};

/// Flags of `weir up`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  weir up\n  weir up --for 30s --json\n  \
    weir up --incident battery --prometheus http://127.0.0.1:9090\n\n\
    Needs no server and no configuration. Ctrl-C brings everything to its end and prints the summary.\n\
    Exit code 1: something is missing, doubled, or was never made.")]
pub struct Args {
    /// Ends by itself after that time, such as 30s or 5m.
    #[arg(long = "for", value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub duration: Option<Duration>,
    /// Writes to this Prometheus instead of the built-in receiver, and asks it back what it has.
    #[arg(long, value_name = "URL")]
    pub prometheus: Option<String>,
    /// The last line of standard output is the summary as one JSON object.
    #[arg(long)]
    pub json: bool,
    /// Data points a second; log lines and spans come at a tenth of that.
    #[arg(long, value_name = "POINTS", default_value_t = 20_000)]
    pub rate: u32,
    /// Decides everything that the generator makes.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Prometheus series alive at a time.
    #[arg(long, default_value_t = 5_000)]
    pub series: usize,
    /// Share of records that no worker can read, which go to the dead letters, 0 to 1.
    #[arg(long, default_value_t = 0.001)]
    pub malformed: f64,
    /// Something that goes wrong in the factories, after a minute, for ten; may be given several times.
    #[arg(long, value_name = "NAME", value_parser = incidents())]
    pub incident: Vec<String>,
    /// Where the admin server listens [default: process.admin of the topology].
    #[arg(long, value_name = "ADDRESS")]
    pub admin: Option<std::net::SocketAddr>,
}

fn incidents() -> clap::builder::PossibleValuesParser {
    Incident::all().iter().map(|incident| incident.name()).collect::<Vec<_>>().into()
}

/// Runs everything until the time is over or it is told to stop.
///
/// # Errors
/// Something cannot be set up, or a worker has a defect.
pub fn run(args: &Args, common: &Common) -> anyhow::Result<Answer> {
    let (topology, _) = topology::load(common.topology.as_deref())?;
    let incidents = args.incident.iter().map(|name| Ok(Occurrence::from(name.parse::<Incident>()?)));
    let tenth = f64::from(args.rate) / 10.0;
    let options = Options {
        load: Config {
            seed: args.seed,
            series: args.series,
            malformed: args.malformed,
            incidents: incidents.collect::<anyhow::Result<_>>()?,
            ..Config::default()
        },
        pace: load::Pace {
            rates: BTreeMap::from([
                (Signal::Metrics, f64::from(args.rate)),
                (Signal::Logs, tenth),
                (Signal::Traces, tenth),
            ]),
            duration: args.duration,
            records: None,
        },
        prometheus: args.prometheus.clone(),
        admin: args.admin,
    };
    let summary = runtime()?.block_on(async {
        let stop = signals::stop()?;
        up::run(topology, &options, |metrics| metrics, stop).await
    })?;
    if args.json {
        print(&format!("{}\n", serde_json::to_string(&summary)?))?;
    } else {
        print(&summary.table())?;
    }
    Ok(if summary.is_right() { Answer::Yes } else { Answer::No })
}
