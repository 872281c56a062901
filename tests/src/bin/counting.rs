//! The counting worker as a process, to be killed and stopped.
//!
//! `counting --topology FILE --output TOPIC --state TOPIC` runs the worker `counting` of the topology as `weir run`
//! would; where the outside is says the `url` of its table `remote_write`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use tracing_subscriber::EnvFilter;
use weir_fleet::connection::{self, Connection};
use weir_fleet::fleet::Fleet;
use weir_fleet::topology::{self, Kind, Topology};
use weir_fleet::{admin, commands::run, signals};
use weir_kafka::{FeedLimits, Identity};
use weir_runtime::{Outlet, Settings};
use weir_tests::counting::Counting;

/// The worker's name in the topology.
const NAME: &str = "counting";

/// Counts records by key.
#[derive(Debug, Parser)]
struct Args {
    /// The topology file.
    #[arg(long)]
    topology: PathBuf,
    /// The topic that every change is written to.
    #[arg(long)]
    output: String,
    /// The changelog.
    #[arg(long)]
    state: String,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let lines = EnvFilter::new("info,weir_runtime=debug,rdkafka=off");
    tracing_subscriber::fmt().with_env_filter(lines).with_writer(std::io::stderr).with_ansi(false).init();
    let (topology, _) = topology::load(Some(&args.topology))?;
    run::runtime()?.block_on(serve(&args, &topology))
}

async fn serve(args: &Args, topology: &Topology) -> anyhow::Result<()> {
    let stop = signals::stop()?;
    let mut fleet = Fleet::new(topology);
    start(&mut fleet, args, topology)?;
    admin::serve(topology.process.admin, fleet.shown()).await?;
    run::until_told(fleet, stop).await
}

fn start(fleet: &mut Fleet, args: &Args, topology: &Topology) -> anyhow::Result<()> {
    let worker = topology.workers.get(NAME).context("the topology has no worker called counting")?;
    let Kind::RemoteWrite(config) = &worker.kind else { anyhow::bail!("counting writes to a receiver") };
    let settings = Settings {
        lanes: *topology.process.lanes.get_ref(),
        outlets: vec![Outlet { name: NAME.into(), shards: 2, max_items: 1_000, linger: Duration::from_millis(10) }],
        commit_interval: worker.commit_interval.into(),
        commit_bytes: connection::COMMIT_BYTES,
        revoke_timeout: worker.revoke_timeout.into(),
        drain_timeout: worker.drain_timeout.into(),
        tick_interval: Duration::from_millis(200),
        start: connection::start(worker),
        batch: FeedLimits { batch_records: 1_000, batch_bytes: 1 << 20 },
        seed: connection::random(),
    };
    let identity =
        Identity { state_topic: Some(args.state.as_str().into()), ..connection::identity(topology, NAME, worker) };
    let counting = Counting {
        output: Arc::from(args.output.as_str()),
        outside: config.remote_write.iter().next().context("no outside")?.url.get_ref().clone(),
        http: reqwest::Client::new(),
    };
    let prefetch_bytes = topology.process.budget.get_ref().get_usize() / 4;
    let connection = Connection::new(topology, worker, connection::brokers(topology, false), prefetch_bytes);
    fleet.start(counting, identity, settings, connection)
}
