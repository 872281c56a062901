//! A client that does something else first, just before the call that a test names.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use weir_contract::{Output, TopicPartition};
use weir_kafka::{Client, ClientError, Committed, Isolation, Offset, Rebalance, Take, TopicNow};

/// What comes first, once.
pub type First<C> = Box<dyn FnOnce(&C) + Send>;

/// Another client, and what is to come before a call of the transaction.
pub struct Between<C> {
    inner: Arc<C>,
    first: Mutex<Option<(&'static str, First<C>)>>,
}

impl<C: Client> Between<C> {
    /// A client that does as the other one does.
    pub fn new(inner: C) -> Self {
        Self { inner: Arc::new(inner), first: Mutex::new(None) }
    }

    /// The client itself.
    pub fn inner(&self) -> &Arc<C> {
        &self.inner
    }

    /// Does that just before the next call of that name: `begin`, `send_offsets` or `commit`.
    pub fn before(&self, call: &'static str, first: impl FnOnce(&C) + Send + 'static) {
        *self.first.lock() = Some((call, Box::new(first)));
    }

    fn comes(&self, call: &str) {
        let due = self.first.lock().take_if(|(named, _)| *named == call);
        if let Some((_, first)) = due {
            first(&self.inner);
        }
    }
}

impl<C: Client> Client for Between<C> {
    type Group = C::Group;

    async fn poll(&self, wait: Duration, take: Take<'_>) -> Result<Option<Rebalance>, ClientError> {
        self.inner.poll(wait, take).await
    }

    fn assign(&self, placed: &[(TopicPartition, i64)]) -> Result<(), ClientError> {
        self.inner.assign(placed)
    }

    fn unassign(&self, gone: &[TopicPartition]) -> Result<(), ClientError> {
        self.inner.unassign(gone)
    }

    fn lost(&self) -> bool {
        self.inner.lost()
    }

    fn pause(&self, partitions: &[TopicPartition]) -> Result<(), ClientError> {
        self.inner.pause(partitions)
    }

    fn resume(&self, partitions: &[TopicPartition]) -> Result<(), ClientError> {
        self.inner.resume(partitions)
    }

    async fn seek(&self, partition: &TopicPartition, offset: i64) -> Result<(), ClientError> {
        self.inner.seek(partition, offset).await
    }

    async fn committed(&self, partition: &TopicPartition) -> Result<Option<Committed>, ClientError> {
        self.inner.committed(partition).await
    }

    async fn bounds(&self, partition: &TopicPartition, isolation: Isolation) -> Result<(i64, i64), ClientError> {
        self.inner.bounds(partition, isolation).await
    }

    async fn offset_at(&self, partition: &TopicPartition, timestamp_ms: i64) -> Result<i64, ClientError> {
        self.inner.offset_at(partition, timestamp_ms).await
    }

    async fn topic(&self, topic: &str) -> Result<Option<TopicNow>, ClientError> {
        self.inner.topic(topic).await
    }

    async fn scan(&self, partition: &TopicPartition, from: i64, take: Take<'_>) -> Result<(), ClientError> {
        self.inner.scan(partition, from, take).await
    }

    fn group(&self) -> Result<Self::Group, ClientError> {
        self.inner.group()
    }

    async fn init_transactions(&self) -> Result<(), ClientError> {
        self.inner.init_transactions().await
    }

    fn begin(&self) -> Result<(), ClientError> {
        self.comes("begin");
        self.inner.begin()
    }

    async fn produce(&self, output: &Output) -> Result<(), ClientError> {
        self.inner.produce(output).await
    }

    async fn send_offsets(&self, offsets: &[Offset], group: &Self::Group) -> Result<(), ClientError> {
        self.comes("send_offsets");
        self.inner.send_offsets(offsets, group).await
    }

    async fn commit(&self) -> Result<(), ClientError> {
        self.comes("commit");
        self.inner.commit().await
    }

    async fn abort(&self) -> Result<(), ClientError> {
        self.inner.abort().await
    }

    fn close(&self) {
        self.inner.close();
    }
}
