//! Brokers inside this process, for `weir up` and tests. Their data dies with it.

use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};

use rdkafka::error::KafkaError;
use rdkafka::mocking::MockCluster;

use super::error::passing;
use crate::client::{Class, ClientError};

/// A broker on loopback, until it is dropped. It keeps at most 5 MiB of each partition, and its
/// transactions are neither isolated nor fenced.
pub struct Embedded {
    bootstrap: String,
    /// Closed, it ends the thread that owns the brokers: they cannot leave it.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Embedded {
    /// Starts a broker with these topics, each a name and a number of partitions.
    ///
    /// # Errors
    /// There is no thread or port left, or a topic has no valid name.
    pub fn start(topics: &[(&str, i32)]) -> Result<Self, ClientError> {
        let topics: Vec<_> = topics.iter().map(|(name, partitions)| ((*name).to_owned(), *partitions)).collect();
        let (stop, stopped) = channel::<()>();
        let (started, start) = channel();
        let thread = thread::Builder::new().name("embedded-kafka".into()).spawn(move || match cluster(&topics) {
            Ok(cluster) => {
                // Nobody waits any more where these fail.
                started.send(Ok(cluster.bootstrap_servers())).ok();
                stopped.recv().ok();
            }
            Err(error) => drop(started.send(Err(error))),
        });
        let failed = |why| ClientError { call: "starting the embedded broker", why, class: Class::Fatal };
        let thread = thread.map_err(|error| failed(error.to_string()))?;
        let bootstrap = start.recv().map_err(|error| failed(error.to_string()))?;
        let bootstrap = bootstrap.map_err(passing("starting the embedded broker"))?;
        Ok(Self { bootstrap, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens: `host:port`.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }
}

fn cluster(
    topics: &[(String, i32)],
) -> Result<MockCluster<'static, rdkafka::producer::DefaultProducerContext>, KafkaError> {
    let cluster = MockCluster::new(1)?;
    for (name, partitions) in topics {
        cluster.create_topic(name, *partitions, 1)?;
    }
    Ok(cluster)
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            thread.join().ok(); // it does not panic, and there is nothing to do if it did
        }
    }
}
