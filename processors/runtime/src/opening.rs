//! Opens a partition beside the poll thread: its offset, and a processor with its state.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::time::sleep;
use weir_contract::{Processor, StateError, TopicPartition};
use weir_kafka::{Client, Gap, Mark, Opened, Start, open};

use crate::chain;
use crate::retry::Backoff;
use crate::session::Notice;

/// How long a partition that needs a person waits before it tries again.
const REFUSED_PAUSE: Duration = Duration::from_secs(30);

/// How long a partition waits before it believes that it needs a person: the embedded broker, which does not isolate
/// transactions, shows what they wrote a moment before their offsets.
const DOUBT_PAUSE: Duration = Duration::from_millis(500);

/// How often a partition that nobody has committed looks whether its beginning is by now.
const BEGINNING_PAUSE: Duration = Duration::from_millis(100);
/// How often opening fails in the course of things: the last owner's commit takes its time to show.
const ROUTINE_TRIES: u32 = 5;

/// What is opened, and for whom.
pub(crate) struct Opening<C, P: Processor> {
    pub client: Arc<C>,
    pub id: TopicPartition,
    /// Set when nobody wants it any more.
    pub cancelled: Arc<AtomicBool>,
    pub start: Start,
    pub state_topic: Option<Arc<str>>,
    pub processor: Box<dyn Fn() -> P + Send>,
    pub notices: UnboundedSender<Notice<P>>,
    pub seed: u64,
}

/// A partition that can run.
pub(crate) struct Ready<P> {
    pub id: TopicPartition,
    pub cancelled: Arc<AtomicBool>,
    pub processor: P,
    pub offset: i64,
    pub mark: Mark,
    pub gap: Option<Gap>,
}

impl<C: Client, P: Processor> Opening<C, P> {
    /// Tries until it is open or nobody wants it any more.
    pub async fn run(self) {
        let (mut backoff, mut tries, mut begun, mut doubted) = (Backoff::new(self.seed), 0, false, false);
        while !self.cancelled.load(Ordering::SeqCst) {
            let opened = open(&*self.client, &self.id, self.start, self.state_topic.as_ref()).await;
            let pause = match opened {
                _ if self.cancelled.load(Ordering::SeqCst) => return,
                Ok(opened) if !opened.committed => {
                    if !std::mem::replace(&mut begun, true) {
                        self.begin(opened);
                    }
                    BEGINNING_PAUSE
                }
                Ok(opened) => match self.restore(&opened) {
                    Ok(processor) => return self.ready(opened, processor),
                    Err(error) => self.refuse(&error),
                },
                Err(error) if error.is_passing() => {
                    tries += 1;
                    let (error, pause) = (chain(&error), backoff.pause());
                    if tries < ROUTINE_TRIES {
                        tracing::debug!(partition = %self.id, error, "partition does not open yet");
                    } else {
                        let retry_after_secs = pause.as_secs_f64();
                        tracing::warn!(partition = %self.id, error, tries, retry_after_secs, "partition does not open yet");
                    }
                    self.tell(Notice::NotYet { id: self.id.clone(), why: error });
                    pause
                }
                Err(_) if !std::mem::replace(&mut doubted, true) => DOUBT_PAUSE,
                Err(error) => self.refuse(&error),
            };
            sleep(pause).await;
        }
    }

    fn restore(&self, opened: &Opened) -> Result<P, StateError> {
        let mut processor = (self.processor)();
        for (key, value) in &opened.state {
            processor.restore(key, value)?;
        }
        Ok(processor)
    }

    fn begin(&self, opened: Opened) {
        let (id, cancelled) = (self.id.clone(), Arc::clone(&self.cancelled));
        self.tell(Notice::Begins { id, cancelled, offset: opened.offset, mark: opened.mark });
    }

    fn ready(self, opened: Opened, processor: P) {
        let Opened { offset, mark, gap, .. } = opened;
        let ready = Ready { id: self.id.clone(), cancelled: Arc::clone(&self.cancelled), processor, offset, mark, gap };
        self.tell(Notice::Opened(Box::new(ready)));
    }

    /// Says why it does not open before a person helps; how long to wait for that.
    fn refuse(&self, error: &dyn std::error::Error) -> Duration {
        let why = chain(error);
        tracing::error!(partition = %self.id, error = why, "partition refuses to open");
        self.tell(Notice::Refused { id: self.id.clone(), why });
        REFUSED_PAUSE
    }

    fn tell(&self, notice: Notice<P>) {
        // A session that has ended has no use for it.
        self.notices.send(notice).ok();
    }
}
