//! Whether a member has heard what its group has given it and taken from it (KIP-848).
//!
//! A coordinator says a change once. It says all of it again to a member that tells all it knows, which a member is to
//! do after any failure (Kafka's `GroupMetadataManager`). librdkafka 2.12.1 does it after a broken connection
//! (`rd_kafka_cgrp_handle_ConsumerGroupHeartbeat`), and not after a heartbeat that was not answered in time, as happens
//! while a broker dies that the others wait for. Then partitions that the coordinator took away stay where they are
//! until it gives the member up, and those that it gave have no owner at all. So the coordinator is asked now and then.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::consumer::{BaseConsumer, Consumer};
use weir_contract::TopicPartition;

use super::consumer::Member;
use super::context::Log;
use super::error::why;
use super::raw::{self, Assigned, Told};
use super::reader::Observer;
use super::{CALL, KafkaConfig, Protocol};
use crate::client::{Class, ClientError};

/// How often it is asked; two answers in a row have to differ from what was heard, without a change in between. Longer
/// than the brokers let the time between two heartbeats be set by default
/// (`group.consumer.max.heartbeat.interval.ms`, 15 s), within which a change is told.
const EVERY: Duration = Duration::from_secs(20);

/// What a member has heard, beside what is so.
pub(super) struct Hearing {
    group: String,
    /// When the coordinator is asked next; never, where the members share the partitions out themselves.
    due: Mutex<Option<Instant>>,
    differs: Mutex<Option<Difference>>,
    missed: AtomicBool,
}

/// What a member has heard, and what its coordinator says.
#[derive(PartialEq, Eq)]
struct Difference {
    member: String,
    heard: BTreeSet<TopicPartition>,
    said: Assigned,
}

impl Difference {
    /// Whether it has something that it is to let go of, or does not know of something that it has. What it is to
    /// have may be another's still.
    fn is_one(&self) -> bool {
        !self.heard.is_subset(&self.said.target) || !self.said.has.is_subset(&self.heard)
    }
}

impl Hearing {
    pub fn new(config: &KafkaConfig) -> Arc<Self> {
        let due = (config.protocol == Protocol::Consumer).then(|| Instant::now() + EVERY);
        let (due, differs, missed) = (Mutex::new(due), Mutex::default(), AtomicBool::new(false));
        Arc::new(Self { group: config.group.clone(), due, differs, missed })
    }

    /// Asks when it is time, on a thread of its own.
    ///
    /// # Errors
    /// Fatal: the member has missed something, and only a new one is told.
    pub fn check(self: &Arc<Self>, member: &Member, observer: &Observer) -> Result<(), ClientError> {
        if self.missed.load(Ordering::SeqCst) {
            let why = "the group gave or took partitions, and this member was not told".into();
            return Err(ClientError { call: "poll", why, class: Class::Fatal });
        }
        if !self.is_due() {
            return Ok(());
        }
        let (hearing, client) = (Arc::clone(self), observer.consumer()?);
        let Some((member, heard)) = member.told() else {
            self.compare(None);
            return Ok(());
        };
        let ask = move || hearing.ask(&client, member, heard);
        // Without a thread for it, the next time is as good.
        drop(thread::Builder::new().name("hearing".to_owned()).spawn(ask));
        Ok(())
    }

    fn is_due(&self) -> bool {
        let mut due = self.due.lock();
        let now = Instant::now();
        let is_due = due.is_some_and(|due| now >= due);
        if is_due {
            *due = Some(now + EVERY);
        }
        is_due
    }

    fn ask(&self, client: &BaseConsumer<Log>, member: String, heard: BTreeSet<TopicPartition>) {
        let wait_ms = i32::try_from(CALL.as_millis()).unwrap_or(i32::MAX);
        let found = match raw::assigned(client.client(), &self.group, &member, wait_ms) {
            Ok(Told::Known(said)) => Some(Difference { member, heard, said }),
            Ok(Told::Refused(error)) => {
                tracing::debug!(error, "the coordinator does not say what this member has");
                None
            }
            Ok(Told::NoGroup | Told::Late) => None,
            Err(error) => {
                tracing::debug!(error = why(&error.into()), "the group cannot be asked about");
                None
            }
        };
        self.compare(found);
    }

    /// Compares with the answer before.
    fn compare(&self, found: Option<Difference>) {
        let found = found.filter(Difference::is_one);
        let mut before = self.differs.lock();
        if found.is_some() && *before == found {
            self.missed.store(true, Ordering::SeqCst);
        }
        *before = found;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hearing() -> Hearing {
        Hearing { group: "g".into(), due: Mutex::default(), differs: Mutex::default(), missed: AtomicBool::new(false) }
    }

    fn difference(heard: &[i32], has: &[i32], target: &[i32]) -> Option<Difference> {
        let set = |partitions: &[i32]| partitions.iter().map(|of| TopicPartition::new("t", *of)).collect();
        let said = Assigned { has: set(has), target: set(target) };
        Some(Difference { member: "m".into(), heard: set(heard), said })
    }

    #[track_caller]
    fn check<const N: usize>(answers: [Option<Difference>; N], missed: bool) {
        let hearing = hearing();
        answers.into_iter().for_each(|answer| hearing.compare(answer));
        assert_eq!(hearing.missed.load(Ordering::SeqCst), missed);
    }

    #[test]
    fn what_differs_twice_without_a_change_was_missed() {
        let taken = || difference(&[0, 1], &[0, 1], &[0]);
        check([taken(), taken()], true);
        let given = || difference(&[0], &[0, 1], &[0, 1]);
        check([given(), given()], true);
        let put_out = || difference(&[0], &[], &[]);
        check([put_out(), put_out()], true);
    }

    #[test]
    fn what_differs_while_it_changes_is_only_under_way() {
        let taken = || difference(&[0, 1], &[0, 1], &[0]);
        check([taken()], false);
        check([taken(), difference(&[0], &[0], &[0]), taken()], false);
        check([taken(), difference(&[0, 1], &[0, 1], &[1])], false);
        check([taken(), None, taken()], false);
    }

    #[test]
    fn what_is_still_anothers_was_not_missed() {
        let waits = || difference(&[], &[], &[2, 3]);
        check([waits(), waits()], false);
    }
}
