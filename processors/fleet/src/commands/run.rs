//! `weir run`: one worker or several, as a container runs them.

use std::time::Duration;

use anyhow::Context;
use tokio::sync::watch;

use crate::cli::{Answer, Common};
use crate::topology::Origin;
use crate::{admin, connection, fleet::Fleet, registry, signals, topology};

/// How often workers are looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Flags of `weir run`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  weir run metrics --topology topology.toml\n  \
    WEIR_KAFKA__BROKERS=kafka:9092 weir run metrics --log-format json\n\n\
    Ctrl-C or SIGTERM brings what is under way to its end and commits it; a second one stops at once.")]
pub struct Args {
    /// Workers of the topology, by name.
    #[arg(required = true, value_name = "WORKER")]
    pub workers: Vec<String>,
    /// Where the admin server listens [default: process.admin of the topology].
    #[arg(long, value_name = "ADDRESS")]
    pub admin: Option<std::net::SocketAddr>,
}

/// Runs until it is told to stop.
///
/// # Errors
/// The topology is wrong, there is no such worker, or a worker has a defect.
pub fn run(args: &Args, common: &Common) -> anyhow::Result<Answer> {
    let (topology, origin) = topology::load(common.topology.as_deref())?;
    if origin == Origin::Defaults {
        tracing::info!("there is no {}: the defaults are used", topology::DEFAULT_FILE);
    }
    runtime()?.block_on(serve(args, &topology))?;
    Ok(Answer::Yes)
}

/// The runtime of a process: its threads wait on the network, lanes and poll threads are their own.
///
/// # Errors
/// The system has no thread left.
pub fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("could not start the runtime")
}

async fn serve(args: &Args, topology: &topology::Topology) -> anyhow::Result<()> {
    let stop = signals::stop()?;
    let mut fleet = Fleet::new(topology);
    registry::start(&mut fleet, topology, &args.workers, &connection::brokers(topology, false))?;
    let address = admin::serve(args.admin.unwrap_or(topology.process.admin), fleet.shown()).await?;
    tracing::info!(workers = args.workers.join(","), admin = %address, "running");
    until_told(fleet, stop).await
}

/// Lets the workers run until they are told to stop or one ends, and brings them to their end.
///
/// # Errors
/// A worker has a defect, or died.
pub async fn until_told(fleet: Fleet, mut stop: watch::Receiver<bool>) -> anyhow::Result<()> {
    while !fleet.has_ended() {
        if tokio::time::timeout(LOOK, stop.wait_for(|stop| *stop)).await.is_ok() {
            break;
        }
    }
    fleet.stop();
    tokio::task::spawn_blocking(|| fleet.join()).await.context("the workers' threads died")??;
    tracing::info!("stopped");
    Ok(())
}
