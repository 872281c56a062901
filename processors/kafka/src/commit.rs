//! Committing: the finished front of every ledger, with all it carries, in one transaction.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use weir_contract::{DeadLetter, Decision, Front, Output, Partition, Refused, TopicPartition};

use crate::client::{Class, Client, ClientError, Offset};
use crate::mark::Mark;
use crate::{Identity, dead_letter, state};

/// The open partitions of a worker.
pub type Partitions = Arc<Mutex<BTreeMap<TopicPartition, Open>>>;

/// An open partition.
#[derive(Clone, Debug)]
pub struct Open {
    /// What of it is under way.
    pub partition: Arc<Partition>,
    /// What is committed beside its offsets.
    pub mark: Mark,
}

/// Commits for one worker; what it does is done under one lock, which is that it does one thing
/// after the other.
///
/// That lock spans group metadata, collecting, sending offsets and the end of the transaction, and
/// [`Committer::answer`] too. Kafka checks a member's generation, not who owns a partition: with
/// metadata of a later generation, what was collected before a rejoin would pass (invariant 4).
pub struct Committer<C: Client> {
    client: Arc<C>,
    partitions: Partitions,
    identity: Identity,
    under_way: Option<Transaction<C::Group>>,
}

/// What a commit came to.
#[derive(Debug)]
pub enum Outcome {
    /// There was nothing to commit.
    Nothing,
    /// What was finished is committed.
    Committed(Summary),
    /// Undecided, or Kafka is away: call it again, after a while.
    Again(ClientError),
    /// Nothing of it was committed; it stays for the next one.
    Aborted(ClientError),
    /// Every partition is to be abandoned and the client built anew.
    Broken(ClientError),
}

/// What a transaction held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Partitions with an offset in it.
    pub partitions: usize,
    /// Records for Kafka topics.
    pub outputs: usize,
    /// Dead letters.
    pub dead_letters: usize,
    /// Changelog records.
    pub state: usize,
}

struct Transaction<G> {
    parts: Vec<Part>,
    records: Vec<Arc<Vec<Output>>>,
    offsets: Vec<Offset>,
    group: G,
    summary: Summary,
    stage: Stage,
}

/// How far a transaction has come. A retriable failure calls the same function again, so each
/// stage is one call.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Begin,
    Produce { chunk: usize, sent: usize },
    Offsets,
    End,
    Abort,
}

/// What one partition brings.
struct Part {
    partition: Arc<Partition>,
    front: Front,
    decisions: Vec<Decision>,
}

impl<C: Client> Committer<C> {
    /// A committer for the partitions; the client's transactions are initialised.
    pub fn new(client: Arc<C>, partitions: Partitions, identity: Identity) -> Self {
        Self { client, partitions, identity, under_way: None }
    }

    /// Commits what is finished. An undecided transaction is gone on with, before anything else.
    pub async fn commit(&mut self) -> Outcome {
        let mut transaction = match self.under_way.take() {
            Some(transaction) => transaction,
            None => match self.collect().await {
                Ok(Some(transaction)) => transaction,
                Ok(None) => return Outcome::Nothing,
                Err(error) if error.class == Class::Retriable => return Outcome::Again(error),
                Err(error) => {
                    self.abandon_all();
                    return Outcome::Broken(error);
                }
            },
        };
        match self.advance(&mut transaction).await {
            Ok(true) => {
                settle(transaction.parts);
                Outcome::Committed(transaction.summary)
            }
            Ok(false) => {
                put_back(transaction.parts);
                Outcome::Nothing
            }
            Err(error) => self.failed(transaction, error).await,
        }
    }

    /// Whether a transaction is under way that is neither committed nor aborted.
    pub fn is_undecided(&self) -> bool {
        self.under_way.is_some()
    }

    /// Lets go of partitions: nothing of them is committed from now on.
    pub fn abandon(&self, gone: &[TopicPartition]) {
        abandon(&self.partitions, gone);
    }

    /// Answers the rebalance that takes partitions, once they were let go of.
    ///
    /// # Errors
    /// What the client says.
    pub fn answer(&self, gone: &[TopicPartition]) -> Result<(), ClientError> {
        self.client.unassign(gone)
    }

    /// What a transaction would take now. The group's metadata comes before what it vouches for:
    /// should the group move on meanwhile, the commit fails.
    async fn collect(&self) -> Result<Option<Transaction<C::Group>>, ClientError> {
        let open: Vec<_> = self.partitions.lock().values().cloned().collect();
        if open.is_empty() || self.client.lost() {
            return Ok(None);
        }
        let group = self.client.group()?;
        if self.client.lost() {
            return Ok(None); // the metadata may be that of a member that has just joined
        }
        let mut transaction = Transaction {
            parts: Vec::new(),
            records: Vec::new(),
            offsets: Vec::new(),
            group,
            summary: Summary::default(),
            stage: Stage::Begin,
        };
        for Open { partition, mark } in open {
            let front = partition.front();
            let decisions = partition.take_decisions();
            if partition.is_abandoned() {
                // Its processor has died just now; decisions of what is finished went with it.
                continue;
            }
            if let Err(error) = self.add(&mut transaction, &partition, mark, &front, &decisions).await {
                partition.put_back(decisions);
                put_back(transaction.parts);
                return Err(error);
            }
            transaction.parts.push(Part { partition, front, decisions });
        }
        if transaction.offsets.is_empty() {
            settle(transaction.parts); // ticks that made nothing
            return Ok(None);
        }
        transaction.summary.partitions = transaction.offsets.len();
        Ok(Some(transaction))
    }

    /// Adds what a partition brings. Whatever touches a partition contributes its position, moved
    /// or not: a transaction without offsets is not fenced.
    async fn add(
        &self,
        transaction: &mut Transaction<C::Group>,
        partition: &Partition,
        mark: Mark,
        front: &Front,
        decisions: &[Decision],
    ) -> Result<(), ClientError> {
        let changes = changes(partition, front, decisions);
        let mut letters = Vec::new();
        let before = transaction.records.len();
        for entry in &front.entries {
            let refused = {
                let carried = entry.carried();
                if !carried.outputs.is_empty() {
                    transaction.summary.outputs += carried.outputs.len();
                    transaction.records.push(Arc::clone(&carried.outputs));
                }
                letters.extend(carried.dead_letters.iter().map(|letter| self.letter(letter, partition)));
                carried.refused.clone()
            };
            for refused in refused {
                let letter = self.read_refused(partition.id(), refused).await?;
                letters.push(self.letter(&letter, partition));
            }
        }
        if !front.moved && transaction.records.len() == before && letters.is_empty() && changes.is_empty() {
            return Ok(());
        }

        transaction.summary.dead_letters += letters.len();
        transaction.records.push(Arc::new(letters));
        if let Some(changelog) = &self.identity.state_topic {
            let changes = changes.into_iter().map(|(key, value)| state::entry(changelog, partition.id(), &key, value));
            let position = state::position(changelog, partition.id(), Some(front.position));
            let records: Vec<_> = changes.chain(std::iter::once(position)).collect();
            transaction.summary.state += records.len();
            transaction.records.push(Arc::new(records));
        }
        let mark = Mark { state: self.identity.state_topic.is_some(), ..mark };
        let (offset, metadata) = (front.position, mark.write(front.position));
        transaction.offsets.push(Offset { partition: partition.id().clone(), offset, metadata });
        Ok(())
    }

    fn letter(&self, letter: &DeadLetter, partition: &Partition) -> Output {
        dead_letter::output(letter, partition.id(), &self.identity)
    }

    /// Reads a record again that the outside refused; what retention has removed leaves its headers
    /// alone.
    async fn read_refused(&self, source: &TopicPartition, refused: Refused) -> Result<DeadLetter, ClientError> {
        let mut letter = DeadLetter {
            offset: refused.offset,
            timestamp_ms: None,
            key: None,
            value: None,
            headers: Vec::new(),
            reason: refused.reason,
            detail: format!("the outside refused {} of its items", refused.items),
        };
        self.client
            .scan(source, refused.offset, &mut |record| {
                if record.offset == refused.offset {
                    letter.timestamp_ms = record.timestamp_ms;
                    letter.key = record.key.map(<[u8]>::to_vec);
                    letter.value = record.value.map(<[u8]>::to_vec);
                    letter.headers = record.headers.map(|(name, value)| (name.to_owned(), value.to_vec())).collect();
                }
                false
            })
            .await?;
        Ok(letter)
    }

    /// Goes through the stages that are left; whether it ended with all that is in it.
    async fn advance(&self, transaction: &mut Transaction<C::Group>) -> Result<bool, ClientError> {
        loop {
            transaction.stage = match transaction.stage {
                Stage::Begin => {
                    self.client.begin()?;
                    Stage::Produce { chunk: 0, sent: 0 }
                }
                Stage::Produce { chunk, sent } => match transaction.records.get(chunk).map(|records| records.get(sent))
                {
                    Some(Some(output)) => {
                        self.client.produce(output).await?;
                        Stage::Produce { chunk, sent: sent + 1 }
                    }
                    Some(None) => Stage::Produce { chunk: chunk + 1, sent: 0 },
                    None => Stage::Offsets,
                },
                Stage::Offsets => {
                    self.client.send_offsets(&transaction.offsets, &transaction.group).await?;
                    Stage::End
                }
                Stage::End => return self.client.commit().await.map(|()| true),
                Stage::Abort => return self.client.abort().await.map(|()| false),
            }
        }
    }

    /// What a failure leaves: an undecided transaction is never aborted, an aborted one leaves its
    /// batches whole, and after anything else nothing may be committed any more.
    async fn failed(&mut self, mut transaction: Transaction<C::Group>, error: ClientError) -> Outcome {
        let aborting = matches!(transaction.stage, Stage::Abort);
        match error.class {
            Class::Retriable => {
                self.under_way = Some(transaction);
                Outcome::Again(error)
            }
            Class::Abortable if !aborting => {
                transaction.stage = Stage::Abort;
                match self.client.abort().await {
                    Ok(()) => {
                        put_back(transaction.parts);
                        Outcome::Aborted(error)
                    }
                    Err(again) if again.class == Class::Retriable => {
                        self.under_way = Some(transaction);
                        Outcome::Again(again)
                    }
                    Err(broken) => self.broken(transaction, broken),
                }
            }
            _ => self.broken(transaction, error),
        }
    }

    fn broken(&self, transaction: Transaction<C::Group>, error: ClientError) -> Outcome {
        self.abandon_all();
        drop(transaction);
        Outcome::Broken(error)
    }

    /// Lets go of everything at once, without a word to the group.
    pub fn abandon_all(&self) {
        let all: Vec<_> = self.partitions.lock().keys().cloned().collect();
        abandon(&self.partitions, &all);
    }
}

/// The state's changes, the newest of each key: a decision, or what came with an entry after it. From the newest
/// on, for most keys change many times between two commits, and what is older is not even copied.
fn changes(partition: &Partition, front: &Front, decisions: &[Decision]) -> BTreeMap<Vec<u8>, Option<Vec<u8>>> {
    let mut newest = BTreeMap::new();
    for entry in front.entries.iter().rev() {
        for (key, value) in entry.carried().state.iter().rev() {
            if !newest.contains_key(key) && !partition.is_overruled(key, entry) {
                newest.insert(key.clone(), value.clone());
            }
        }
    }
    for Decision { key, value, .. } in decisions.iter().rev() {
        newest.entry(key.clone()).or_insert_with(|| value.clone());
    }
    newest
}

/// Takes partitions out of the open ones and lets nothing of them be committed any more.
pub(crate) fn abandon(partitions: &Partitions, gone: &[TopicPartition]) {
    let mut open = partitions.lock();
    for id in gone {
        if let Some(open) = open.remove(id) {
            open.partition.abandon();
        }
    }
}

fn settle(parts: Vec<Part>) {
    for Part { partition, front, decisions } in parts {
        partition.settle(&front);
        for decision in decisions {
            if !partition.is_abandoned() {
                (decision.let_out)();
            }
        }
    }
}

fn put_back(parts: Vec<Part>) {
    for Part { partition, decisions, .. } in parts {
        partition.put_back(decisions);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_has_the_newest_change_of_each_key() {
        let partition = Partition::open(TopicPartition::new("t", 0), 0);
        let admit = |records, changes: &[(&[u8], Option<&[u8]>)]| {
            let (entry, processing) = partition.admit(Some(records), 0);
            let owned = changes.iter().map(|(key, value)| (key.to_vec(), value.map(<[u8]>::to_vec)));
            entry.carried().state = owned.collect();
            processing.release();
            entry.number()
        };
        admit((0, 10), &[(b"a", Some(b"1")), (b"b", Some(b"1")), (b"a", Some(b"2")), (b"c", Some(b"1"))]);
        let second = admit((10, 20), &[(b"b", None)]);
        admit((20, 30), &[(b"d", Some(b"3"))]);
        let decision = |key: &[u8], value: &[u8]| Decision {
            entry: second,
            key: key.to_vec(),
            value: Some(value.to_vec()),
            let_out: Box::new(|| {}),
        };
        let decided = [decision(b"c", b"7"), decision(b"d", b"7"), decision(b"e", b"7"), decision(b"e", b"8")];
        partition.decide(decided.into());

        let (front, decisions) = (partition.front(), partition.take_decisions());
        let found: Vec<_> = changes(&partition, &front, &decisions).into_iter().collect();
        let some = |key: &[u8], value: &[u8]| (key.to_vec(), Some(value.to_vec()));
        let expected = [some(b"a", b"2"), (b"b".to_vec(), None), some(b"c", b"7"), some(b"d", b"3"), some(b"e", b"8")];
        assert_eq!(found, expected);
    }
}
