//! Where the parts of a worker run.

use std::future::Future;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// Real threads, or one for all of it.
#[derive(Clone, Debug)]
pub enum Threads {
    /// A thread for each part that computes or blocks; this runtime for what waits on the network.
    Real(Handle),
    /// Tasks of the current `LocalSet`, for a simulated clock.
    Simulated,
}

/// The end of a part: ready when it has ended.
pub(crate) type Ended = oneshot::Receiver<()>;

impl Threads {
    /// Starts a part that may compute and block; what it is made of is made where it runs.
    ///
    /// # Errors
    /// The system has no thread left.
    pub(crate) fn thread<F, Fut>(&self, name: &str, part: F) -> std::io::Result<Ended>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        let (ended, end) = oneshot::channel();
        match self {
            Self::Real(handle) => {
                let handle = handle.clone();
                std::thread::Builder::new().name(name.to_owned()).spawn(move || {
                    handle.block_on(part());
                    ended.send(()).ok();
                })?;
            }
            Self::Simulated => {
                tokio::task::spawn_local(async move {
                    part().await;
                    ended.send(()).ok();
                });
            }
        }
        Ok(end)
    }

    /// Starts a part that only waits, and is not waited for: it goes with its runtime.
    pub(crate) fn task(&self, part: impl Future<Output = ()> + Send + 'static) {
        match self {
            Self::Real(handle) => drop(handle.spawn(part)),
            Self::Simulated => drop(tokio::task::spawn_local(part)),
        }
    }
}
