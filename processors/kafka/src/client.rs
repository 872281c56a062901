//! The calls that the protocol makes on a Kafka client, and nothing else.

use std::future::Future;
use std::time::Duration;

use weir_contract::{Header, Output, TopicPartition};

/// A consumer of one group, a transactional producer, and a reader aside, as one client.
///
/// A real client blocks inside these calls, so whoever awaits them has a thread of their own; a
/// simulated one yields.
pub trait Client: Send + Sync + 'static {
    /// The group's metadata, as a transaction wants it: member and generation.
    type Group: Send;

    /// Waits for records or a rebalance, at most `wait`; gives each record to `take`, until it
    /// says that it has enough. Nothing is consumed twice, except after a seek or a pause.
    ///
    /// # Errors
    /// A fatal error, or an offset that is out of range ([`Class::OutOfRange`]).
    fn poll(&self, wait: Duration, take: Take<'_>) -> impl Future<Output = Result<Option<Rebalance>, ClientError>>;

    /// Adds partitions, each at an offset, to what is fetched. With none at all it only answers a
    /// rebalance, which is due at once for every [`Rebalance::Assigned`].
    ///
    /// # Errors
    /// What the client says.
    fn assign(&self, placed: &[(TopicPartition, i64)]) -> Result<(), ClientError>;

    /// Takes partitions out of what is fetched, and so answers [`Rebalance::Revoked`]. Those that
    /// were never added are passed over.
    ///
    /// # Errors
    /// What the client says.
    fn unassign(&self, gone: &[TopicPartition]) -> Result<(), ClientError>;

    /// Whether the group has given this member's partitions to others already.
    fn lost(&self) -> bool;

    /// Stops fetching partitions; what was fetched before is thrown away.
    ///
    /// # Errors
    /// What the client says.
    fn pause(&self, partitions: &[TopicPartition]) -> Result<(), ClientError>;

    /// Fetches partitions again, from where their records were taken last.
    ///
    /// # Errors
    /// What the client says.
    fn resume(&self, partitions: &[TopicPartition]) -> Result<(), ClientError>;

    /// Goes back (or on) to an offset.
    ///
    /// # Errors
    /// What the client says.
    fn seek(&self, partition: &TopicPartition, offset: i64) -> impl Future<Output = Result<(), ClientError>>;

    /// The group's committed offset, once no transaction is pending on it.
    ///
    /// # Errors
    /// Retriable while a transaction is pending or the coordinator is away.
    fn committed(
        &self,
        partition: &TopicPartition,
    ) -> impl Future<Output = Result<Option<Committed>, ClientError>> + Send;

    /// The first offset, and the end as that isolation sees it: the last stable offset or the high
    /// watermark.
    ///
    /// # Errors
    /// What the client says.
    fn bounds(
        &self,
        partition: &TopicPartition,
        isolation: Isolation,
    ) -> impl Future<Output = Result<(i64, i64), ClientError>> + Send;

    /// The offset of the first record at that time (milliseconds since the epoch) or later; the
    /// end, where there is none.
    ///
    /// # Errors
    /// What the client says.
    fn offset_at(
        &self,
        partition: &TopicPartition,
        timestamp_ms: i64,
    ) -> impl Future<Output = Result<i64, ClientError>> + Send;

    /// What a topic is now; none, where the brokers do not tell.
    ///
    /// # Errors
    /// What the client says.
    fn topic(&self, topic: &str) -> impl Future<Output = Result<Option<TopicNow>, ClientError>> + Send;

    /// Reads committed records beside the group, from an offset until the last stable offset or
    /// until `take` has enough.
    ///
    /// # Errors
    /// What the client says.
    fn scan(
        &self,
        partition: &TopicPartition,
        from: i64,
        take: Take<'_>,
    ) -> impl Future<Output = Result<(), ClientError>> + Send;

    /// The group's metadata of this moment.
    ///
    /// # Errors
    /// There is none, before the first join.
    fn group(&self) -> Result<Self::Group, ClientError>;

    /// Fences earlier producers of the same transactional ID.
    ///
    /// # Errors
    /// Retriable: call it again. Fatal otherwise.
    fn init_transactions(&self) -> impl Future<Output = Result<(), ClientError>>;

    /// Begins a transaction.
    ///
    /// # Errors
    /// What the client says.
    fn begin(&self) -> Result<(), ClientError>;

    /// Adds a record to the transaction.
    ///
    /// # Errors
    /// What the client says.
    fn produce(&self, output: &Output) -> impl Future<Output = Result<(), ClientError>>;

    /// Adds the group's offsets to the transaction.
    ///
    /// # Errors
    /// Retriable: call it again; abortable after a rebalance.
    fn send_offsets(&self, offsets: &[Offset], group: &Self::Group) -> impl Future<Output = Result<(), ClientError>>;

    /// Ends the transaction with all that is in it.
    ///
    /// # Errors
    /// Retriable: undecided, call it again and never abort. Abortable: nothing was committed.
    fn commit(&self) -> impl Future<Output = Result<(), ClientError>>;

    /// Ends the transaction with nothing.
    ///
    /// # Errors
    /// Retriable: call it again.
    fn abort(&self) -> impl Future<Output = Result<(), ClientError>>;

    /// Leaves the group; rebalances are answered without asking anybody from now on.
    fn close(&self);
}

/// Takes a record; false says that this is enough.
pub type Take<'t> = &'t mut (dyn FnMut(Arrived<'_>) -> bool + Send);

/// A record as the client has it, borrowed.
pub struct Arrived<'a> {
    /// Its topic.
    pub topic: &'a str,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Its timestamp, in milliseconds since the epoch.
    pub timestamp_ms: Option<i64>,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value.
    pub value: Option<&'a [u8]>,
    /// Its headers.
    pub headers: &'a mut dyn Iterator<Item = Header<'a>>,
}

/// What the group does to this member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rebalance {
    /// Partitions are this member's, as soon as it has answered with `assign`.
    Assigned(Vec<TopicPartition>),
    /// Partitions go, as soon as it has answered with `unassign`.
    Revoked(Vec<TopicPartition>),
    /// Partitions have gone already, to be answered with `unassign` all the same.
    Lost(Vec<TopicPartition>),
}

/// What a group has committed of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The offset of the first record that is not done.
    pub offset: i64,
    /// What was committed beside it.
    pub metadata: String,
}

/// What a topic is at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicNow {
    /// The ID that Kafka gave it when it was created.
    pub id: String,
    /// Its number of partitions.
    pub partitions: i32,
}

/// An offset to commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offset {
    /// The partition.
    pub partition: TopicPartition,
    /// The offset of the first record that is not done.
    pub offset: i64,
    /// What is committed beside it.
    pub metadata: String,
}

/// Whose records count as there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// Those of ended transactions alone.
    Committed,
    /// Those of open transactions too.
    Uncommitted,
}

/// A call that failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{call} failed: {why}")]
pub struct ClientError {
    /// Which call.
    pub call: &'static str,
    /// What the client said: an error's name, never a payload.
    pub why: String,
    /// What follows.
    pub class: Class,
}

/// What follows from a failed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The same call again.
    Retriable,
    /// The transaction has to be aborted; what it carried can be committed by the next.
    Abortable,
    /// A position is not in the log any more.
    OutOfRange,
    /// The client is of no use any more: fenced, outcome unknown, or broken.
    Fatal,
}
