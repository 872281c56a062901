//! What the commands ask about topics and groups, and change.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use rdkafka::admin::{
    AdminClient, AdminOptions, ConfigResource, ConfigSource, NewPartitions, NewTopic as Wanted, OwnedResourceSpecifier,
    ResourceSpecifier, TopicReplication, TopicResult,
};
use rdkafka::bindings::rd_kafka_AclOperation_t as Op;
use rdkafka::consumer::BaseConsumer;
use weir_contract::TopicPartition;

use super::consumer::{commit_plainly, committed};
use super::context::Log;
use super::error::{late, passing};
use super::reader::{Observer, Reader};
use super::{CALL, Connection, list, producer, raw};
use crate::client::{Class, ClientError, Committed, Isolation, Offset, Take};

/// How long the brokers may take to carry out a change.
const CHANGE: Duration = Duration::from_secs(30);

/// A client for the commands. Those of its calls that are not `async` block, at most 10 s each.
pub struct Admin {
    connection: Connection,
    client: AdminClient<Log>,
    written: Observer,
    stable: Observer,
    reader: Reader,
}

/// A topic as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// Its number of partitions.
    pub partitions: i32,
    /// Its number of replicas: the fewest that a partition has.
    pub replication: i32,
}

/// A topic as it is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// Its number of partitions.
    pub partitions: i32,
    /// Its number of replicas; none leaves it to the brokers.
    pub replication: Option<i32>,
    /// What differs from the brokers' defaults.
    pub configs: BTreeMap<String, String>,
}

/// A topic's setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its value.
    pub value: String,
    /// Whether the topic has it itself, rather than from the brokers.
    pub own: bool,
}

/// What an ACL allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// To read records, or to be a member of a group.
    Read,
    /// To write records, or to use a transactional ID.
    Write,
    /// To see that it is there.
    Describe,
    /// To see its settings.
    DescribeConfigs,
    /// To remove it.
    Delete,
}

/// What a client may do with something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// These operations.
    Operations(Vec<Operation>),
    /// The brokers do not say.
    Unknown,
    /// They refuse even to tell, for that reason.
    Refused(String),
}

impl Operation {
    /// By librdkafka's number.
    fn of(number: u32) -> Option<Self> {
        let known = [
            (Op::RD_KAFKA_ACL_OPERATION_READ, Self::Read),
            (Op::RD_KAFKA_ACL_OPERATION_WRITE, Self::Write),
            (Op::RD_KAFKA_ACL_OPERATION_DESCRIBE, Self::Describe),
            (Op::RD_KAFKA_ACL_OPERATION_DESCRIBE_CONFIGS, Self::DescribeConfigs),
            (Op::RD_KAFKA_ACL_OPERATION_DELETE, Self::Delete),
        ];
        known.into_iter().find(|(op, _)| *op as u32 == number).map(|(_, operation)| operation)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "READ",
            Self::Write => "WRITE",
            Self::Describe => "DESCRIBE",
            Self::DescribeConfigs => "DESCRIBE_CONFIGS",
            Self::Delete => "DELETE",
        })
    }
}

impl Admin {
    /// Opens a client; it connects beside. Records are read under the permissions of `group`.
    ///
    /// # Errors
    /// librdkafka refuses a property.
    pub fn open(connection: &Connection, group: &str) -> Result<Self, ClientError> {
        let config = connection.observer("read_committed");
        Ok(Self {
            client: config.create_with_context(Log::new("admin")).map_err(passing("opening the admin client"))?,
            written: Observer::new(connection.clone(), "read_uncommitted"),
            stable: Observer::new(connection.clone(), "read_committed"),
            reader: Reader::new(connection.clone(), group),
            connection: connection.clone(),
        })
    }

    /// Every topic that this client may see.
    ///
    /// # Errors
    /// Kafka does not answer.
    pub fn topics(&self) -> Result<Vec<Topic>, ClientError> {
        let metadata = self.written.metadata()?;
        let topics = metadata.topics().iter().map(|topic| Topic {
            name: topic.name().to_owned(),
            partitions: count(topic.partitions().len()),
            replication: count(topic.partitions().iter().map(|one| one.replicas().len()).min().unwrap_or(0)),
        });
        Ok(topics.collect())
    }

    /// The settings of each of the topics, by name.
    ///
    /// # Errors
    /// Kafka does not answer, or a topic is not there.
    pub async fn settings(&self, topics: &[&str]) -> Result<Vec<BTreeMap<String, Setting>>, ClientError> {
        let asked: Vec<_> = topics.iter().map(|topic| ResourceSpecifier::Topic(topic)).collect();
        let described = self.client.describe_configs(&asked, &options()).await.map_err(passing("settings"))?;
        let settings = |described: ConfigResource| {
            described.entries.into_iter().filter_map(|entry| {
                let own = entry.source == ConfigSource::DynamicTopic;
                Some((entry.name, Setting { value: entry.value?, own }))
            })
        };
        // A topic that is not there has no settings, and no error either.
        let mut answers: BTreeMap<String, BTreeMap<String, Setting>> = BTreeMap::new();
        for described in described.into_iter().flatten() {
            if let OwnedResourceSpecifier::Topic(name) = &described.specifier {
                answers.insert(name.clone(), settings(described).collect());
            }
        }
        let mut known = |topic: &str| answers.remove(topic).filter(|settings| !settings.is_empty());
        let missing = |topic: &str| refused("settings", topic, "there is no such topic, or it may not be seen");
        topics.iter().copied().map(|topic| known(topic).ok_or_else(|| missing(topic))).collect()
    }

    /// What this client may do with a topic.
    ///
    /// # Errors
    /// Kafka does not answer.
    pub fn allowed_on_topic(&self, topic: &str) -> Result<Allowed, ClientError> {
        self.allowed("allowed_on_topic", &raw::Subject::Topic(topic))
    }

    /// What this client may do with a group, which need not be there.
    ///
    /// # Errors
    /// Kafka does not answer.
    pub fn allowed_on_group(&self, group: &str) -> Result<Allowed, ClientError> {
        self.allowed("allowed_on_group", &raw::Subject::Group(group))
    }

    fn allowed(&self, call: &'static str, subject: &raw::Subject<'_>) -> Result<Allowed, ClientError> {
        let wait_ms = i32::try_from(CALL.as_millis()).unwrap_or(i32::MAX);
        let told = raw::operations(self.client.inner(), subject, wait_ms);
        match told.map_err(|error| passing(call)(error.into()))? {
            raw::Operations::Late => Err(late(call)),
            raw::Operations::Refused(why) => Ok(Allowed::Refused(why)),
            raw::Operations::Allowed(None) => Ok(Allowed::Unknown),
            raw::Operations::Allowed(Some(numbers)) => {
                Ok(Allowed::Operations(numbers.into_iter().filter_map(Operation::of).collect()))
            }
        }
    }

    /// Uses a transactional ID, and so fences whoever has it: to be called with one of its own.
    ///
    /// # Errors
    /// Kafka does not answer, or refuses it.
    pub fn use_transactional_id(&self, id: &str) -> Result<(), ClientError> {
        producer::use_transactional_id(&self.connection, id)
    }

    /// Creates a topic.
    ///
    /// # Errors
    /// The brokers refuse it.
    pub async fn create(&self, topic: &NewTopic) -> Result<(), ClientError> {
        let replication = TopicReplication::Fixed(topic.replication.unwrap_or(-1));
        let wanted = Wanted::new(&topic.name, topic.partitions, replication);
        let wanted = topic.configs.iter().fold(wanted, |wanted, (name, value)| wanted.set(name, value));
        let created = self.client.create_topics([&wanted], &options()).await;
        done("create", created.map_err(passing("create"))?)
    }

    /// Gives a topic more partitions, `partitions` in all.
    ///
    /// # Errors
    /// The brokers refuse it.
    pub async fn grow(&self, topic: &str, partitions: i32) -> Result<(), ClientError> {
        let total = usize::try_from(partitions).map_err(|_| late("grow"))?;
        let grown = self.client.create_partitions([&NewPartitions::new(topic, total)], &options()).await;
        done("grow", grown.map_err(passing("grow"))?)
    }

    /// Changes settings of a topic and leaves the others as they are.
    ///
    /// # Errors
    /// The brokers refuse it.
    pub fn alter(&self, topic: &str, changes: &BTreeMap<String, String>) -> Result<(), ClientError> {
        let wait_ms = i32::try_from(CALL.as_millis()).unwrap_or(i32::MAX);
        let altered = raw::alter(self.client.inner(), topic, changes, wait_ms);
        match altered.map_err(|error| passing("alter")(error.into()))? {
            raw::Altered::Done => Ok(()),
            raw::Altered::Late => Err(late("alter")),
            raw::Altered::Refused(why) => Err(refused("alter", topic, why)),
        }
    }

    /// What a group has committed of partitions, in their order: with what transactions that are
    /// under way commit, once they have ended, or without.
    ///
    /// # Errors
    /// Kafka does not answer.
    pub fn committed(
        &self,
        group: &str,
        of: &[TopicPartition],
        isolation: Isolation,
    ) -> Result<Vec<Option<Committed>>, ClientError> {
        let failed = passing("committed");
        let asked = list::of(of).map_err(&failed)?;
        committed(&self.auditor(group, isolation)?, asked).map_err(failed)
    }

    /// Commits offsets for a group that has no member.
    ///
    /// # Errors
    /// Kafka does not answer, or refuses it: it does while the group has a member.
    pub fn commit(&self, group: &str, offsets: &[Offset]) -> Result<(), ClientError> {
        commit_plainly(&self.auditor(group, Isolation::Uncommitted)?, offsets).map_err(passing("commit"))
    }

    /// Deletes a group that has no member, and what it has committed.
    ///
    /// # Errors
    /// Kafka does not answer, or refuses it: it does while the group has a member.
    pub async fn delete_group(&self, group: &str) -> Result<(), ClientError> {
        let deleted = self.client.delete_groups(&[group], &options()).await.map_err(passing("delete_group"))?;
        deleted
            .into_iter()
            .try_for_each(|one| one.map(drop).map_err(|(group, code)| refused("delete_group", &group, code)))
    }

    fn auditor(&self, group: &str, isolation: Isolation) -> Result<BaseConsumer<Log>, ClientError> {
        let config = self.connection.auditor(group, isolation);
        config.create_with_context(Log::new("auditor")).map_err(passing("opening an auditor"))
    }

    /// How many members a group has; none, where there is no such group.
    ///
    /// # Errors
    /// Kafka does not answer, or the group may not be described.
    pub fn members(&self, group: &str) -> Result<usize, ClientError> {
        let wait_ms = i32::try_from(CALL.as_millis()).unwrap_or(i32::MAX);
        let members = raw::members(self.client.inner(), group, wait_ms);
        match members.map_err(|error| passing("members")(error.into()))? {
            raw::Told::Known(count) => Ok(count),
            raw::Told::NoGroup => Ok(0),
            raw::Told::Late => Err(late("members")),
            raw::Told::Refused(why) => Err(refused("members", group, why)),
        }
    }

    /// The offset of the first record at that time (milliseconds since the epoch) or later; the
    /// end, where there is none.
    ///
    /// # Errors
    /// Kafka does not answer.
    pub fn offset_at(&self, partition: &TopicPartition, timestamp_ms: i64) -> Result<i64, ClientError> {
        self.stable.offset_at(partition, timestamp_ms)
    }

    /// The first offset, and the end as that isolation sees it.
    ///
    /// # Errors
    /// Kafka does not answer.
    pub fn bounds(&self, partition: &TopicPartition, isolation: Isolation) -> Result<(i64, i64), ClientError> {
        match isolation {
            Isolation::Committed => self.stable.bounds(partition),
            Isolation::Uncommitted => self.written.bounds(partition),
        }
    }

    /// Reads committed records from an offset until the last stable offset, or until `take` has
    /// enough.
    ///
    /// # Errors
    /// Kafka does not answer.
    pub fn scan(&self, partition: &TopicPartition, from: i64, take: Take<'_>) -> Result<(), ClientError> {
        self.reader.scan(partition, from, take)
    }

    /// The timestamp of the first committed record at an offset or above, in milliseconds since the
    /// epoch; none at the end, or where the record has none.
    ///
    /// # Errors
    /// Kafka does not answer.
    pub fn timestamp_at(&self, partition: &TopicPartition, offset: i64) -> Result<Option<i64>, ClientError> {
        let mut found = None;
        self.scan(partition, offset, &mut |record| {
            found = record.timestamp_ms;
            false
        })?;
        Ok(found)
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(CHANGE)).operation_timeout(Some(CHANGE))
}

fn done(call: &'static str, results: Vec<TopicResult>) -> Result<(), ClientError> {
    results.into_iter().try_for_each(|one| one.map(drop).map_err(|(topic, code)| refused(call, &topic, code)))
}

fn refused(call: &'static str, topic: &str, why: impl std::fmt::Display) -> ClientError {
    ClientError { call, why: format!("{topic}: {why}"), class: Class::Retriable }
}

fn count(length: usize) -> i32 {
    i32::try_from(length).unwrap_or(i32::MAX)
}
