//! SIGINT and SIGTERM.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// What a process that is told to stop a second time exits with, as a shell says it of SIGINT.
const IMPATIENT: i32 = 130;

/// True from the first SIGINT or SIGTERM on; the second ends the process at once.
///
/// # Errors
/// The handlers cannot be installed.
pub fn stop() -> anyhow::Result<watch::Receiver<bool>> {
    let mut interrupt = signal(SignalKind::interrupt()).context("could not listen for SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("could not listen for SIGTERM")?;
    let (asked, stop) = watch::channel(false);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if asked.send_replace(true) {
                std::process::exit(IMPATIENT);
            }
            tracing::info!("stopping: what is under way is delivered and committed; once more stops at once");
        }
    });
    Ok(stop)
}

/// As [`stop`], for those who do not wait but look.
///
/// # Errors
/// Those of [`stop`].
pub fn flag() -> anyhow::Result<Arc<AtomicBool>> {
    let (mut stop, flag) = (stop()?, Arc::new(AtomicBool::new(false)));
    let raised = Arc::clone(&flag);
    tokio::spawn(async move {
        let told = stop.wait_for(|stop| *stop).await.is_ok();
        raised.store(told, Ordering::SeqCst);
    });
    Ok(flag)
}
