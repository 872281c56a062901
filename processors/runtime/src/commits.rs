//! Commits on an interval and lets go of partitions, on a thread of its own: commits run beside
//! the lanes, and one after the other.

use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::time::{Instant, sleep_until, timeout_at};
use weir_contract::{Processor, TopicPartition};
use weir_kafka::{Client, ClientError, Committer, Outcome};

use crate::chain;
use crate::instruments::{Ending, Instruments};
use crate::retry::Backoff;
use crate::session::Notice;
use crate::status::Status;

/// The longest pause between two tries where there is a time by which one has to go through: much
/// shorter than what a revocation may take, or a stop.
const HASTE: Duration = Duration::from_millis(500);

/// What the session asks for.
pub(crate) enum Order {
    /// Commit what is finished of everything, trying until then, and let go of these.
    LetGo { partitions: Vec<TopicPartition>, until: Instant },
    /// Let go of these, which are somebody else's already.
    Drop(Vec<TopicPartition>),
    /// Commit now.
    Commit,
    /// Say when no transaction under way holds anything of this one, which is closed.
    Settle(TopicPartition),
}

/// A commit that did not go through and is to be tried again.
struct Again {
    outcome: &'static str,
    error: String,
}

impl Again {
    /// Says so; returns the pause before the next try.
    fn after(&self, pause: Duration, tries: u32) -> Duration {
        let (Self { outcome, error }, retry_after_secs) = (self, pause.as_secs_f64());
        tracing::warn!(error, outcome, tries, retry_after_secs, "commit did not go through");
        pause
    }
}

/// Commits until the session ends.
pub(crate) struct Commits<C: Client, P: Processor> {
    pub committer: Committer<C>,
    pub interval: Duration,
    pub notices: UnboundedSender<Notice<P>>,
    pub instruments: Instruments,
    pub status: Status,
    pub seed: u64,
    pub settling: Vec<TopicPartition>,
}

impl<C: Client, P: Processor> Commits<C, P> {
    /// Commits until nobody gives orders any more, or until nothing can be committed any more.
    /// Nothing stays open behind it.
    pub async fn run(mut self, mut orders: UnboundedReceiver<Order>) {
        if let Err(error) = self.serve(&mut orders).await {
            self.notices.send(Notice::Broken(error)).ok();
        }
        self.committer.abandon_all();
    }

    async fn serve(&mut self, orders: &mut UnboundedReceiver<Order>) -> Result<(), ClientError> {
        let (mut backoff, mut tries) = (Backoff::new(self.seed), 0);
        let mut due = Instant::now() + self.interval;
        loop {
            match timeout_at(due, orders.recv()).await {
                Ok(None) => return Ok(()),
                Ok(Some(Order::LetGo { partitions, until })) => {
                    self.commit_until(until, orders).await?;
                    self.let_go(partitions);
                }
                Ok(Some(Order::Drop(partitions))) => self.let_go(partitions),
                Ok(Some(Order::Commit)) => due = Instant::now(),
                Ok(Some(Order::Settle(id))) => {
                    self.settling.push(id);
                    self.tell_settled();
                }
                Err(_) => {
                    let pause = match self.commit().await? {
                        Some(again) => {
                            tries += 1;
                            again.after(backoff.pause(), tries)
                        }
                        None => {
                            tries = 0;
                            backoff.reset();
                            self.interval
                        }
                    };
                    due = Instant::now() + pause;
                }
            }
        }
    }

    /// Tries until what is finished is committed, at most until then, or until the session is over:
    /// it may have been fenced meanwhile. An undecided transaction was collected earlier: what has
    /// finished since needs another.
    async fn commit_until(&mut self, until: Instant, orders: &UnboundedReceiver<Order>) -> Result<(), ClientError> {
        let (mut backoff, mut tries) = (Backoff::new(self.seed), 0);
        loop {
            let earlier = self.committer.is_undecided();
            let again = self.commit().await?;
            if again.is_none() && !earlier || Instant::now() >= until || orders.is_closed() {
                return Ok(());
            }
            if let Some(again) = again {
                tries += 1;
                let pause = again.after(backoff.pause().min(HASTE), tries);
                sleep_until(until.min(Instant::now() + pause)).await;
            }
        }
    }

    /// Commits once; why it is to be tried again, if it is.
    async fn commit(&mut self) -> Result<Option<Again>, ClientError> {
        let started = Instant::now();
        let outcome = self.committer.commit().await;
        self.tell_settled();
        let (name, error) = match &outcome {
            Outcome::Nothing => return Ok(None),
            Outcome::Committed(summary) => {
                self.instruments.commit_seconds.observe(started.elapsed().as_secs_f64());
                self.instruments.dead_letters.inc_by(summary.dead_letters as u64);
                ("committed", None)
            }
            Outcome::Again(error) => ("retried", Some(error)),
            Outcome::Aborted(error) => ("aborted", Some(error)),
            Outcome::Broken(error) => ("broken", Some(error)),
        };
        self.instruments.commits.get_or_create(&Ending { outcome: name }).inc();
        let said = error.map(|error| chain(error));
        self.status.update(|status| status.commit_error.clone_from(&said));
        match outcome {
            Outcome::Broken(error) => Err(error),
            _ => Ok(said.map(|error| Again { outcome: name, error })),
        }
    }

    fn tell_settled(&mut self) {
        if !self.committer.is_undecided() {
            for id in self.settling.drain(..) {
                self.notices.send(Notice::Settled(id)).ok();
            }
        }
    }

    /// The notice comes before the answer: with the answer the group may give the same partitions
    /// again, at once.
    fn let_go(&self, partitions: Vec<TopicPartition>) {
        self.committer.abandon(&partitions);
        self.notices.send(Notice::LetGo(partitions.clone())).ok();
        if let Err(error) = self.committer.answer(&partitions) {
            tracing::warn!(error = %chain(&error), "the client did not let go as it should");
        }
    }
}
