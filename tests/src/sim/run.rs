//! One seed, from the first instance's start to the last one's end.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::mem;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use tokio::sync::{oneshot, watch};
use tokio::task::LocalSet;
use tokio::time::sleep;
use weir_contract::{Budget, Limits};
use weir_kafka::{FeedLimits, Identity};
use weir_runtime::{Clock, Defect, Instruments, Outlet, Settings, Setup, Status, Threads};

use super::check::{LARGEST_OUTPUT_BYTES, LARGEST_STATE_BYTES};
use super::kafka::{DEAD, STATE};
use super::model::{GROUP, Kind};
use super::{Line, Mutation, State, World};

/// So long everything that is left may take, once nothing fails any more, in milliseconds.
const CALM_MS: u64 = 300_000;
const DRAIN_MS: u64 = 20_000;

/// What a seed came to.
#[derive(Debug, Default)]
pub struct Report {
    /// What did not hold, if anything.
    pub violation: Option<String>,
    /// What happened, where it was asked for.
    pub history: Vec<Line>,
    /// How long it was on the simulated clock.
    pub lasted: Duration,
    /// What happened of all that can happen, and how often.
    pub covered: BTreeMap<&'static str, u64>,
}

/// Runs a seed, with a bug on purpose if one is named; `told` writes the history down.
pub fn run(seed: u64, mutation: Option<Mutation>, told: bool) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let world = Arc::new(Mutex::new(State::new(seed, mutation, told)));
        let slots = Slots::default();
        let mut driver = pin!(Driver::new(world.clone(), slots.clone()).drive());
        // The instances are polled here, so that a frozen one is not.
        poll_fn(|cx| {
            if driver.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            for running in slots.borrow_mut().iter_mut().flatten().filter(|running| !running.frozen) {
                // It is never through: the driver asks for the instance's own end.
                std::hint::black_box(Pin::new(&mut running.tasks).poll(cx).is_ready());
            }
            Poll::Pending
        })
        .await;
        slots.borrow_mut().clear();
        let mut state = world.lock();
        let left: usize = state.model.budgets.values().map(Budget::used_bytes).sum();
        if left > 0 {
            state.violated(format!("{left} bytes of the budget are held by what is gone"));
        }
        let lasted = Duration::from_millis(state.now());
        Report {
            violation: state.violation.take(),
            history: state.history.take().unwrap_or_default(),
            lasted,
            covered: mem::take(&mut state.covered),
        }
    })
}

/// The instances' places.
type Slots = Rc<RefCell<Vec<Option<Running>>>>;

pub(super) struct Running {
    pub tasks: LocalSet,
    pub frozen: bool,
    /// The instance ID of its members.
    pub identity: usize,
    pub stop: watch::Sender<bool>,
    pub stopped_ms: Option<u64>,
    pub ended: oneshot::Receiver<Result<(), Defect>>,
    pub status: Status,
}

/// The operator, and the passing of time.
pub(super) struct Driver {
    pub world: World,
    pub slots: Slots,
    /// When which instance thaws.
    pub thaws: BTreeMap<(u64, usize), ()>,
    /// The operator is to move the group's offsets, or has seen that a partition needs his help.
    pub called: Option<Call>,
}

/// What the operator does while nobody runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// Moves offsets, or loses the changelog.
    Reset,
    /// Helps partitions that refuse to open.
    Help,
}

impl Driver {
    fn new(world: World, slots: Slots) -> Self {
        Self { world, slots, thaws: BTreeMap::new(), called: None }
    }

    async fn drive(mut self) {
        let (instances, chaos_ms) = {
            let state = self.world.lock();
            (state.scenario.instances, state.scenario.chaos_ms)
        };
        self.slots.borrow_mut().resize_with(instances, || None);
        {
            let mut state = self.world.lock();
            let told = format!("{:?}", state.scenario);
            state.note("scenario", || told);
            let sources: Vec<_> = state.kafka.sources.iter().map(|one| state.kafka.logs[*one].id.to_string()).collect();
            state.note("scenario", || format!("partitions by number: {sources:?}"));
        }
        self.start();
        self.chaos(chaos_ms).await;
        self.calm().await;
    }

    async fn chaos(&mut self, until_ms: u64) {
        loop {
            let pause = {
                let mut state = self.world.lock();
                let pace = state.scenario.pace_ms;
                state.rng.below(pace)
            };
            sleep(Duration::from_millis(pause)).await;
            if !self.look() || self.world.lock().now() > until_ms {
                return;
            }
            self.act();
            self.answer_calls().await;
        }
    }

    /// Nothing fails any more: all that is left comes to its end, a drain leaves nothing behind,
    /// and what comes after it is done by the next.
    async fn calm(&mut self) {
        {
            let mut state = self.world.lock();
            state.calm = true;
            state.outside.blocked = 0;
            state.note("operator", || "nothing fails any more".into());
        }
        let frozen: Vec<usize> = mem::take(&mut self.thaws).into_keys().map(|(_, instance)| instance).collect();
        for instance in frozen {
            self.thaw(instance);
        }
        self.end_twins();
        if self.running() == 0 {
            self.start();
        }
        if !self.until_done().await {
            return;
        }
        if self.world.lock().rng.chance(500) {
            let before = self.only_member();
            self.world.lock().drill = true;
            for _ in 0..3 {
                self.produce();
            }
            let pause = self.world.lock().rng.below(600);
            sleep(Duration::from_millis(pause)).await;
            let alone = self.only_member();
            self.stop_all();
            self.until_stopped().await;
            if alone.is_some() && alone == before {
                self.check_drained();
            }
            self.world.lock().drill = false;
            self.produce();
            self.start();
            if !self.until_done().await {
                return;
            }
        }
        self.stop_all();
        self.until_stopped().await;
        while !self.world.lock().kafka.is_settled() {
            sleep(Duration::from_millis(500)).await;
            self.world.lock().advance();
        }
        self.world.lock().check_end();
    }

    /// Looks at the instances; whether all is well so far.
    pub fn look(&mut self) -> bool {
        let now = self.world.lock().now();
        while let Some(first) = self.thaws.first_entry()
            && first.key().0 <= now
        {
            let ((_, instance), ()) = first.remove_entry();
            self.thaw(instance);
        }
        // Dropped once the world is free: some of what it drops locks it.
        let mut gone = Vec::new();
        let mut world = self.world.lock();
        let state = &mut *world;
        state.advance();
        for (instance, slot) in self.slots.borrow_mut().iter_mut().enumerate() {
            let Some(running) = slot else { continue };
            for (name, problem) in refused(&running.status) {
                let expected = state.model.apart.iter().any(|one| state.kafka.logs[*one].id.to_string() == name);
                if !expected {
                    state.violated(format!("i{instance} cannot open {name}: {problem}"));
                } else if self.called.is_none() && (state.calm || state.rng.chance(100)) {
                    state.covers("a partition that refuses to open");
                    state.note("operator", || format!("reads: {problem}"));
                    self.called = Some(Call::Help);
                }
            }
            let took_ms = running.stopped_ms.map_or(0, |stopped| now.saturating_sub(stopped));
            match running.ended.try_recv() {
                Ok(result) => {
                    state.note("operator", || format!("i{instance} has ended: {result:?}"));
                    if let Err(defect) = result {
                        state.violated(format!("i{instance}: {defect}"));
                    }
                    state.fall_silent(instance, true);
                    gone.push(slot.take());
                }
                Err(oneshot::error::TryRecvError::Closed) => state.violated(format!("i{instance} panicked")),
                Err(oneshot::error::TryRecvError::Empty) if took_ms > DRAIN_MS + 5_000 && state.calm => {
                    state.violated(format!("invariant 8: i{instance} has not stopped after {took_ms} ms"));
                }
                Err(oneshot::error::TryRecvError::Empty) => {}
            }
        }
        let well = state.violation.is_none();
        drop(world);
        well
    }

    pub async fn until_stopped(&mut self) {
        while self.look() && self.running() > 0 {
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until everything is committed; whether it is.
    async fn until_done(&mut self) -> bool {
        let until = self.world.lock().now() + CALM_MS;
        while self.look() {
            {
                let mut state = self.world.lock();
                let left = state.model.left();
                if left.is_empty() && state.kafka.is_settled() {
                    return true;
                }
                if state.now() > until {
                    state.violated(format!("not through after {CALM_MS} ms: {left:?} are left"));
                    return false;
                }
            }
            self.answer_calls().await;
            // One that was stopped before has ended, or ends now.
            if self.running() == 0 {
                self.start();
            }
            sleep(Duration::from_millis(250)).await;
        }
        false
    }

    /// The only member that the group has, if it knows that it is one and can commit: a twin that was
    /// killed before it joined has fenced its producer all the same.
    fn only_member(&self) -> Option<u32> {
        let mut state = self.world.lock();
        state.advance();
        let mut alive = state.kafka.clients.iter().enumerate().filter(|(_, client)| client.alive);
        let (index, client) = alive.next()?;
        let (member, generation) = client.metadata?;
        let only = alive.next().is_none() && state.kafka.group.knows(member, generation);
        (only && !state.is_fenced(index)).then_some(member)
    }

    /// Invariant 8: what the only instance had begun was brought to its end, but for what was kept.
    fn check_drained(&self) {
        let mut state = self.world.lock();
        for (source, processed) in state.model.processed.clone() {
            let committed = state.model.committed(source);
            let behind = state
                .model
                .sources
                .get(&source)
                .into_iter()
                .flat_map(|all| all.range(committed..processed.max(committed)));
            // A record on which the processor dies closes the partition.
            let kept = behind.clone().any(|(_, made)| matches!(made.kind, Kind::Keep | Kind::Panic));
            let left: Vec<_> = behind.filter(|(_, made)| !made.excused).map(|(offset, _)| *offset).collect();
            if !left.is_empty() && !kept {
                state.violated(format!("invariant 8: {left:?} of {source} were processed and left uncommitted"));
            }
        }
    }
}

/// The partitions that do not open before somebody helps, and why.
fn refused(status: &Status) -> Vec<(String, String)> {
    let shown = status.get().partitions.into_iter();
    shown.filter_map(|(id, shown)| Some((id, shown.problem?))).collect()
}

/// What an instance runs with.
pub(super) fn setup(state: &mut State, instance: usize) -> Setup {
    let drawn = &state.scenario.settings;
    let millis = Duration::from_millis;
    let settings = Settings {
        lanes: drawn.lanes,
        outlets: vec![Outlet {
            name: "sim".into(),
            shards: drawn.shards,
            max_items: drawn.max_items,
            linger: millis(drawn.linger_ms),
        }],
        commit_interval: millis(drawn.commit_interval_ms),
        commit_bytes: drawn.commit_bytes,
        revoke_timeout: millis(drawn.revoke_timeout_ms),
        drain_timeout: millis(DRAIN_MS),
        tick_interval: millis(drawn.tick_interval_ms),
        start: state.scenario.start,
        batch: FeedLimits { batch_records: drawn.batch_records, batch_bytes: drawn.batch_bytes },
        seed: drawn.seed.wrapping_add(instance as u64),
    };
    let mut counters = Registry::default();
    let instruments = Instruments::new(&mut counters);
    let budget = Budget::new(drawn.budget_bytes);
    state.model.budgets.insert(instance, budget.clone());
    state.model.counters.push(counters);
    Setup {
        identity: Identity {
            worker: "sim".into(),
            group: GROUP.into(),
            dead_letter_topic: DEAD.into(),
            dead_letter_max_bytes: state.scenario.dead_letter_max_bytes,
            state_topic: state.scenario.state.then(|| STATE.into()),
        },
        settings,
        limits: Limits { state_bytes: LARGEST_STATE_BYTES, ..Limits::all(LARGEST_OUTPUT_BYTES) },
        ends: None,
        threads: Threads::Simulated,
        budget,
        clock: Clock::starting_at(i64::try_from(state.now()).unwrap_or(0)),
        instruments,
        status: Status::default(),
    }
}
