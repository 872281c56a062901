//! Opens a partition beside the poll thread: its offset, and a processor with its state.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::time::sleep;
use weir_contract::{Processor, TopicPartition};
use weir_kafka::{Client, Gap, Mark, Start, open};

use crate::chain;
use crate::retry::Backoff;
use crate::session::Notice;

/// How long a partition that needs a person waits before it tries again.
const REFUSED_PAUSE: Duration = Duration::from_secs(30);

/// What is opened, and for whom.
pub(crate) struct Opening<C, P: Processor> {
    pub client: Arc<C>,
    pub id: TopicPartition,
    /// Set when nobody wants it any more.
    pub cancelled: Arc<AtomicBool>,
    pub start: Start,
    pub state_topic: Option<Arc<str>>,
    pub processor: Box<dyn FnOnce() -> P + Send>,
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
        let mut backoff = Backoff::new(self.seed);
        while !self.cancelled.load(Ordering::SeqCst) {
            let opened = open(&*self.client, &self.id, self.start, self.state_topic.as_ref()).await;
            let pause = match opened {
                _ if self.cancelled.load(Ordering::SeqCst) => return,
                Ok(opened) => return self.restore(opened),
                Err(error) if error.is_passing() => {
                    tracing::debug!(partition = %self.id, error = %chain(&error), "partition does not open yet");
                    backoff.pause()
                }
                Err(error) => {
                    tracing::error!(partition = %self.id, error = %chain(&error), "partition refuses to open");
                    self.tell(Notice::Refused { id: self.id.clone(), why: chain(&error) });
                    REFUSED_PAUSE
                }
            };
            sleep(pause).await;
        }
    }

    fn restore(self, opened: weir_kafka::Opened) {
        let Self { id, cancelled, processor, notices, .. } = self;
        let mut processor = processor();
        for (key, value) in &opened.state {
            if let Err(error) = processor.restore(key, value) {
                tracing::error!(partition = %id, error = %chain(&error), "partition refuses to open");
                notices.send(Notice::Refused { id, why: chain(&error) }).ok();
                return;
            }
        }
        let ready = Ready { id, cancelled, processor, offset: opened.offset, mark: opened.mark, gap: opened.gap };
        notices.send(Notice::Opened(Box::new(ready))).ok();
    }

    fn tell(&self, notice: Notice<P>) {
        // A session that has ended has no use for it.
        self.notices.send(notice).ok();
    }
}
