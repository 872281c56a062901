//! The letters of the dead-letter topic that a filter takes.

use std::collections::HashSet;

use anyhow::Context;
use weir_contract::TopicPartition;
use weir_kafka::real::Admin;
use weir_kafka::{Found, Isolation, Letter};

use super::Filter;
use crate::cluster::Cluster;
use crate::topology::DEAD_LETTERS;

/// Letters, and which of them were redriven.
pub struct Letters<'c> {
    admin: &'c Admin,
    filter: &'c Filter,
    /// What of each partition is looked at.
    pub spans: Vec<Span>,
}

/// A part of a partition of the dead-letter topic.
pub struct Span {
    /// The partition.
    pub id: TopicPartition,
    /// The first offset of it.
    pub from: i64,
    /// The offset after the last.
    pub to: i64,
    /// Letters from there on that were redriven.
    redriven: HashSet<i64>,
}

/// A letter that was read.
pub struct Seen<'r> {
    /// The letter.
    pub letter: Letter,
    /// Whether it was redriven.
    pub redriven: bool,
    /// Its key.
    pub key: Option<&'r [u8]>,
    /// Its value.
    pub value: Option<&'r [u8]>,
}

/// Takes a letter; whether it wants another.
pub type Take<'t> = &'t mut (dyn FnMut(Seen<'_>) -> anyhow::Result<bool> + Send);

impl<'c> Letters<'c> {
    /// The letters that are there now.
    ///
    /// # Errors
    /// Kafka does not answer, or has no dead-letter topic, or not that partition of it.
    pub fn find(cluster: &'c Cluster, filter: &'c Filter) -> anyhow::Result<Self> {
        let name = filter.letters.as_deref().unwrap_or(DEAD_LETTERS);
        let topic = cluster.topics.get(name);
        let topic =
            topic.with_context(|| format!("the cluster has no topic {name}: `weir topics apply` creates it"))?;
        let partitions = match filter.partition {
            None => 0..topic.partitions,
            Some(one) if one < topic.partitions => one..one + 1,
            Some(one) => anyhow::bail!("{name} has {} partitions, and so no partition {one}", topic.partitions),
        };
        let mut letters = Self { admin: &cluster.admin, filter, spans: Vec::new() };
        for partition in partitions {
            let id = TopicPartition::new(name, partition);
            let (first, end) = cluster.admin.bounds(&id, Isolation::Committed)?;
            let from = match (filter.offset, filter.since) {
                (Some(offset), _) => offset,
                (None, Some(since)) => cluster.admin.offset_at(&id, since)?,
                (None, None) => first,
            };
            let to = filter.offset.map_or(end, |offset| offset.saturating_add(1).min(end));
            letters.spans.push(Span { id, from, to, redriven: HashSet::new() });
        }
        letters.look_for_markers()?;
        Ok(letters)
    }

    /// Finds out again which letters were redriven. A letter's marker stands behind it.
    ///
    /// # Errors
    /// Kafka does not answer.
    pub fn look_for_markers(&mut self) -> anyhow::Result<()> {
        for span in &mut self.spans {
            let redriven = &mut span.redriven;
            self.admin.scan(&span.id, span.from, &mut |mut record| {
                if let Found::Marker(offsets) = Found::read(&mut record) {
                    redriven.extend(offsets.into_iter().filter(|offset| *offset >= span.from));
                }
                true
            })?;
        }
        Ok(())
    }

    /// Gives every letter to `take`, partition by partition, until it has enough.
    ///
    /// # Errors
    /// Kafka does not answer, or what `take` says.
    pub fn each(&self, take: Take<'_>) -> anyhow::Result<()> {
        let mut more = true;
        for span in &self.spans {
            if more {
                self.each_of(span, span.from, &mut |seen| {
                    more = take(seen)?;
                    Ok(more)
                })?;
            }
        }
        Ok(())
    }

    /// Gives every letter of a partition to `take`, from an offset, until it has enough.
    ///
    /// # Errors
    /// Kafka does not answer, or what `take` says.
    pub fn each_of(&self, span: &Span, from: i64, take: Take<'_>) -> anyhow::Result<()> {
        if from >= span.to {
            return Ok(());
        }
        let mut taken = Ok(true);
        self.admin.scan(&span.id, from, &mut |mut record| {
            if record.offset >= span.to {
                return false;
            }
            let (key, value) = (record.key, record.value);
            if let Found::Letter(letter) = Found::read(&mut record)
                && self.filter.takes(&letter)
            {
                let redriven = span.redriven.contains(&letter.offset);
                taken = take(Seen { letter: *letter, redriven, key, value });
            }
            matches!(taken, Ok(true)) && record.offset + 1 < span.to
        })?;
        taken.map(drop)
    }
}
