//! Watches how far each partition is behind its end, beside everything else.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;
use weir_contract::TopicPartition;
use weir_kafka::{Client, Isolation, Partitions};

use crate::instruments::{Instruments, Of};
use crate::status::Status;

/// How often the ends are asked for.
const INTERVAL: Duration = Duration::from_secs(2);

pub(crate) struct Lag<C> {
    pub client: Arc<C>,
    pub partitions: Partitions,
    pub instruments: Instruments,
    pub status: Status,
}

impl<C: Client> Lag<C> {
    /// Watches until whoever holds the other end of `ended` is gone.
    pub async fn run(self, mut ended: watch::Receiver<bool>) {
        while timeout(INTERVAL, ended.changed()).await.is_err() {
            let open: Vec<_> = self.partitions.lock().keys().cloned().collect();
            for id in open {
                // A broker that is away keeps each call waiting; the session's end does not wait for all.
                if ended.has_changed().is_err() {
                    return;
                }
                self.look(&id).await;
            }
        }
    }

    /// A partition whose end is not to be had keeps the lag that it had.
    async fn look(&self, id: &TopicPartition) {
        let Ok((_, end)) = self.client.bounds(id, Isolation::Committed).await else { return };
        let Some(committed) = self.partitions.lock().get(id).map(|open| open.partition.position()) else { return };
        let lag = (end - committed).max(0);
        let of = Of { topic: id.topic.to_string(), partition: id.partition };
        self.instruments.lag_records.get_or_create(&of).set(lag);
        self.status.update(|status| status.partitions.entry(id.to_string()).or_default().lag_records = Some(lag));
    }
}
