//! `weir dlq redrive`: letters go back to where their records stood, each once.

use std::collections::{BTreeMap, BTreeSet};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Context;
use weir_contract::{Output, TopicPartition};
use weir_kafka::real::{Admin, Transactions};
use weir_kafka::{Class, ClientError, Isolation, Letter, marker};

use super::letters::{Letters, Seen, Span};
use super::{GROUP, RedriveArgs, TRANSACTIONAL_ID};
use crate::cli::Answer;
use crate::cluster::{Cluster, retried, sources};
use crate::commands::terminal::{agreed, asks, text};
use crate::connection::{brokers, sizes};
use crate::topology::Topology;

/// How many letters a transaction takes at most.
const CHUNK_LETTERS: usize = 500;
/// From how many bytes of them on it takes no further one.
const CHUNK_BYTES: usize = 8 << 20;
/// How long Kafka may take to end what an earlier redrive, or a worker, has begun.
const SETTLE: Duration = Duration::from_secs(60);
/// How often it is asked.
const LOOK: Duration = Duration::from_millis(100);

/// Which groups read which topics, as the topology says.
type Readers = BTreeMap<String, BTreeSet<String>>;

/// What goes and what stays.
#[derive(Default)]
struct Plan {
    /// How many letters go, by worker, group, topic and reason.
    going: BTreeMap<[String; 4], u64>,
    staying: Staying,
    redriven: u64,
}

/// Letters that stay: why, how many, and the first of them.
#[derive(Default)]
struct Staying(BTreeMap<String, (u64, String)>);

/// A letter's offset, and the record that goes back.
type Going = (i64, Output);

/// A redrive under way.
struct Redrive<'r> {
    letters: Letters<'r>,
    readers: &'r Readers,
    cluster: &'r Cluster,
    producer: Transactions,
    done: u64,
    staying: Staying,
}

/// Redrives what the filter takes, once it is agreed to.
///
/// # Errors
/// Kafka does not answer, there is nobody to ask, or it stopped on the way.
pub fn run(args: &RedriveArgs, topology: &Topology) -> anyhow::Result<Answer> {
    let asks = !args.dry_run && asks(args.yes, "dlq redrive --dry-run", "dlq redrive")?;
    let cluster = Cluster::reach(topology, GROUP)?;
    let readers = readers(topology, &cluster);
    let letters = Letters::find(&cluster, &args.filter)?;
    let mut plan = Plan::default();
    letters.each(&mut |seen| {
        plan.add(&seen, unfit(&seen.letter, &readers, &cluster));
        Ok(true)
    })?;
    crate::commands::print(&plan.to_string())?;
    let answer = |staying: &Staying| if staying.0.is_empty() { Answer::Yes } else { Answer::No };
    if args.dry_run || plan.going.is_empty() {
        return Ok(answer(&plan.staying));
    }
    if asks && !agreed()? {
        crate::commands::remark("nothing was redriven");
        return Ok(Answer::No);
    }
    let producer = Transactions::open(&brokers(topology, false), TRANSACTIONAL_ID, sizes(topology))?;
    let mut redrive =
        Redrive { letters, readers: &readers, cluster: &cluster, producer, done: 0, staying: Staying::default() };
    let carried_out = redrive.carry_out();
    let done = redrive.done;
    carried_out.with_context(|| format!("{} went back, then it stopped; run it again for the others", count(done)))?;
    crate::commands::print(&format!("{}{} went back\n", redrive.staying, count(done)))?;
    Ok(answer(&redrive.staying))
}

/// Who reads what: a record that is for nobody else would be processed by nobody.
fn readers(topology: &Topology, cluster: &Cluster) -> Readers {
    let known = || cluster.topics.keys().map(String::as_str);
    let read = |worker| sources(worker, known()).into_iter().map(str::to_owned).collect();
    topology.workers.values().map(|worker| (worker.group.clone(), read(worker))).collect()
}

/// Why a letter stays, if so.
fn unfit(letter: &Letter, readers: &Readers, cluster: &Cluster) -> Option<String> {
    if let Some(unfit) = letter.unfit() {
        return Some(unfit.to_string());
    }
    let TopicPartition { topic, partition } = &letter.origin;
    if !readers.get(&letter.group).is_some_and(|topics| topics.contains(&**topic)) {
        return Some("is for a group that reads no such topic in the topology".to_owned());
    }
    let there = cluster.topics.get(&**topic).is_some_and(|topic| *partition < topic.partitions);
    (!there).then(|| "is of a topic or partition that the cluster does not have".to_owned())
}

fn count(letters: u64) -> String {
    match letters {
        1 => "1 letter".to_owned(),
        many => format!("{many} letters"),
    }
}

impl Plan {
    fn add(&mut self, seen: &Seen<'_>, unfit: Option<String>) {
        let letter = &seen.letter;
        match unfit {
            _ if seen.redriven => self.redriven += 1,
            Some(why) => self.staying.add(letter.partition, letter.offset, why),
            None => {
                let origin: &str = &letter.origin.topic;
                let key = [&letter.worker, &letter.group, origin, &letter.reason].map(text);
                *self.going.entry(key).or_default() += 1;
            }
        }
    }
}

impl std::fmt::Display for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.going.is_empty() {
            let mut table = crate::commands::table(["worker", "group", "topic", "reason", "letters"]);
            for (key, letters) in &self.going {
                table.add_row(key.iter().cloned().chain([letters.to_string()]));
            }
            f.write_str(&crate::commands::lines(&table))?;
        }
        if self.redriven > 0 {
            writeln!(f, "{} redriven already", count(self.redriven))?;
        }
        write!(f, "{}", self.staying)?;
        match self.going.values().sum() {
            0 => writeln!(f, "nothing to redrive"),
            letters => writeln!(f, "{} to redrive", count(letters)),
        }
    }
}

impl Staying {
    fn add(&mut self, partition: i32, offset: i64, why: String) {
        let first = || (0, format!("partition {partition} offset {offset}"));
        self.0.entry(why).or_insert_with(first).0 += 1;
    }
}

impl std::fmt::Display for Staying {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (why, (letters, first)) in &self.0 {
            let verb = if *letters == 1 { "stays" } else { "stay" };
            writeln!(f, "{} {verb}, the first at {first}: it {why}", count(*letters))?;
        }
        Ok(())
    }
}

impl Redrive<'_> {
    fn carry_out(&mut self) -> anyhow::Result<()> {
        self.take_over()?;
        for span in std::mem::take(&mut self.letters.spans) {
            let mut from = span.from;
            while from < span.to {
                let (chunk, next) = self.chunk(&span, from)?;
                self.deliver(&span.id, &chunk)?;
                from = next;
            }
        }
        Ok(())
    }

    /// Ends what an earlier redrive has begun, and finds out again what was redriven: its marks are there once what is
    /// written by then can be read, which another's open transaction may hold back.
    fn take_over(&mut self) -> anyhow::Result<()> {
        let until = Instant::now() + SETTLE;
        retried(until, is_retriable, || self.producer.init())?;
        for span in &self.letters.spans {
            settled(&self.cluster.admin, &span.id, until)?;
        }
        self.letters.look_for_markers()
    }

    /// The letters of one transaction, and where the next one begins.
    fn chunk(&mut self, span: &Span, from: i64) -> anyhow::Result<(Vec<Going>, i64)> {
        let (mut chunk, mut bytes, mut next) = (Vec::new(), 0, span.to);
        let Self { letters, readers, cluster, staying, .. } = self;
        letters.each_of(span, from, &mut |Seen { letter, redriven, key, value }| {
            if redriven {
                return Ok(true);
            }
            if let Some(why) = unfit(&letter, readers, cluster) {
                staying.add(letter.partition, letter.offset, why);
                return Ok(true);
            }
            let output = letter.redriven(key, value);
            bytes += output.weight();
            chunk.push((letter.offset, output));
            let full = chunk.len() >= CHUNK_LETTERS || bytes >= CHUNK_BYTES;
            if full {
                next = letter.offset + 1;
            }
            Ok(!full)
        })?;
        Ok((chunk, next))
    }

    /// Redrives letters in one transaction; where Kafka refuses it, in halves, until it is plain which one it refuses.
    fn deliver(&mut self, id: &TopicPartition, letters: &[Going]) -> anyhow::Result<()> {
        let mut waiting = vec![letters];
        while let Some(some) = waiting.pop() {
            match (self.transaction(id, some), some) {
                (_, []) => {}
                (Ok(()), _) => self.done += u64::try_from(some.len()).unwrap_or_default(),
                (Err(error), [(offset, output)]) if error.class == Class::Abortable => {
                    let target = TopicPartition::new(output.topic.clone(), output.partition.unwrap_or_default());
                    let why = format!("was refused by {}[{}]: {}", text(&target.topic), target.partition, error.why);
                    self.staying.add(id.partition, *offset, why);
                }
                (Err(error), _) if error.class == Class::Abortable => {
                    let (first, second) = some.split_at(some.len() / 2);
                    waiting.extend([second, first]);
                }
                (Err(error), _) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// One transaction: the letters' records and their mark. After an abortable error nothing of it is there.
    fn transaction(&self, id: &TopicPartition, letters: &[Going]) -> Result<(), ClientError> {
        if letters.is_empty() {
            return Ok(());
        }
        let until = Instant::now() + SETTLE;
        self.producer.begin()?;
        let offsets: Vec<_> = letters.iter().map(|(offset, _)| *offset).collect();
        let mark = marker(id, &offsets);
        let mut outputs = letters.iter().map(|(_, output)| output).chain([&mark]);
        let ended = outputs.try_for_each(|output| self.producer.produce(output));
        let ended = ended.and_then(|()| retried(until, is_retriable, || self.producer.commit()));
        if ended.as_ref().is_err_and(|error| error.class == Class::Abortable) {
            retried(until, is_retriable, || self.producer.abort())?;
        }
        ended
    }
}

/// Waits until everything that is written to a partition now can be read.
fn settled(admin: &Admin, id: &TopicPartition, until: Instant) -> anyhow::Result<()> {
    let (_, end) = admin.bounds(id, Isolation::Uncommitted)?;
    while admin.bounds(id, Isolation::Committed)?.1 < end {
        anyhow::ensure!(Instant::now() < until, "a transaction on {id} stays open: try again later");
        sleep(LOOK);
    }
    Ok(())
}

fn is_retriable(error: &ClientError) -> bool {
    error.class == Class::Retriable
}
