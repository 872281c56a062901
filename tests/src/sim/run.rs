//! One seed, from the first instance's start to the last one's end.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
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
use weir_kafka::{FeedLimits, Identity, Start};
use weir_runtime::{Clock, Defect, Instruments, Settings, Setup, Status, Threads};

use super::check::Kind;
use super::client::SimClient;
use super::kafka::{DEAD, Event, P, STATE};
use super::log::Record;
use super::worker::TestWorker;
use super::{Line, Mutation, State, World};

/// So long everything that is left may take, once nothing fails any more, in milliseconds.
const CALM_MS: u64 = 300_000;
const DRAIN_MS: u64 = 20_000;
/// After so many source records no more are written while things go wrong.
const RECORDS: usize = 120;

/// What a seed came to.
#[derive(Debug)]
pub struct Report {
    /// What did not hold, if anything.
    pub violation: Option<String>,
    /// What happened, where it was asked for.
    pub history: Vec<Line>,
    /// How long it was on the simulated clock.
    pub lasted: Duration,
}

/// Runs a seed, with a bug on purpose if one is named; `told` writes the history down.
pub fn run(seed: u64, mutation: Option<Mutation>, told: bool) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let world = Arc::new(Mutex::new(State::new(seed, mutation, told)));
        let slots = Slots::default();
        let mut driver = pin!(Driver { world: world.clone(), slots: slots.clone(), thaws: BTreeMap::new() }.drive());
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
        let lasted = Duration::from_millis(state.now());
        Report { violation: state.violation.take(), history: state.history.take().unwrap_or_default(), lasted }
    })
}

/// The instances' places.
type Slots = Rc<RefCell<Vec<Option<Running>>>>;

struct Running {
    tasks: LocalSet,
    frozen: bool,
    stop: watch::Sender<bool>,
    stopped_ms: Option<u64>,
    ended: oneshot::Receiver<Result<(), Defect>>,
    status: Status,
}

/// The operator, and the passing of time.
struct Driver {
    world: World,
    slots: Slots,
    /// When which instance thaws.
    thaws: BTreeMap<(u64, usize), ()>,
}

impl Driver {
    async fn drive(mut self) {
        let (instances, chaos_ms) = {
            let state = self.world.lock();
            (state.scenario.instances, state.scenario.chaos_ms)
        };
        self.slots.borrow_mut().resize_with(instances, || None);
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
        let frozen: Vec<usize> = std::mem::take(&mut self.thaws).into_keys().map(|(_, instance)| instance).collect();
        for instance in frozen {
            self.thaw(instance);
        }
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
    fn look(&mut self) -> bool {
        let now = self.world.lock().now();
        while let Some(first) = self.thaws.first_entry()
            && first.key().0 <= now
        {
            let ((_, instance), ()) = first.remove_entry();
            self.thaw(instance);
        }
        let mut state = self.world.lock();
        state.advance();
        for (instance, slot) in self.slots.borrow_mut().iter_mut().enumerate() {
            let Some(running) = slot else { continue };
            if let Some((partition, problem)) = running
                .status
                .get()
                .partitions
                .into_iter()
                .find_map(|(id, shown)| Some((id, shown.problem.filter(|_| shown.refused)?)))
            {
                state.violated(format!("i{instance} cannot open {partition}: {problem}"));
            }
            let took_ms = running.stopped_ms.map_or(0, |stopped| now.saturating_sub(stopped));
            match running.ended.try_recv() {
                Ok(result) => {
                    state.note("operator", || format!("i{instance} has ended: {result:?}"));
                    if let Err(defect) = result {
                        state.violated(format!("i{instance}: {defect}"));
                    }
                    state.fall_silent(instance, true);
                    *slot = None;
                }
                Err(oneshot::error::TryRecvError::Closed) => state.violated(format!("i{instance} panicked")),
                Err(oneshot::error::TryRecvError::Empty) if took_ms > DRAIN_MS + 5_000 && state.calm => {
                    state.violated(format!("invariant 8: i{instance} has not stopped after {took_ms} ms"));
                }
                Err(oneshot::error::TryRecvError::Empty) => {}
            }
        }
        state.violation.is_none()
    }

    fn act(&mut self) {
        let what = {
            let mut state = self.world.lock();
            let actions = &state.scenario.actions;
            let weights = [
                actions.produce,
                actions.start,
                actions.stop,
                actions.crash,
                actions.freeze,
                actions.lose,
                actions.retention,
            ];
            let mut drawn = state.rng.below(weights.iter().sum());
            weights.iter().position(|weight| {
                let found = drawn < *weight;
                drawn = drawn.saturating_sub(*weight);
                found
            })
        };
        match what {
            Some(1) => self.start(),
            Some(2) => self.with_one(|driver, instance| driver.stop(instance)),
            Some(3) => self.with_one(Self::crash),
            Some(4) => self.with_one(Self::freeze),
            Some(5) => self.lose(),
            Some(6) => self.retain(),
            _ => self.produce(),
        }
    }

    fn running(&self) -> usize {
        self.slots.borrow().iter().flatten().count()
    }

    /// Starts an instance in the first free place.
    fn start(&mut self) {
        let free = self.slots.borrow().iter().position(Option::is_none);
        let Some(instance) = free else { return };
        let mut state = self.world.lock();
        state.note("operator", || format!("starts i{instance}"));
        let setup = setup(&mut state, instance);
        drop(state);
        let (stop, stopped) = watch::channel(false);
        let (tell, ended) = oneshot::channel();
        let status = setup.status.clone();
        let tasks = LocalSet::new();
        let world = self.world.clone();
        tasks.spawn_local(async move {
            let worker = Arc::new(TestWorker { world: world.clone(), instance });
            let connect = || SimClient::connect(&world, instance);
            tell.send(weir_runtime::run(worker, setup, connect, stopped).await).ok();
        });
        let running = Running { tasks, frozen: false, stop, stopped_ms: None, ended, status };
        self.slots.borrow_mut()[instance] = Some(running);
    }

    fn with_one(&mut self, act: impl FnOnce(&mut Self, usize)) {
        let running: Vec<_> =
            self.slots.borrow().iter().enumerate().filter(|(_, slot)| slot.is_some()).map(|(index, _)| index).collect();
        if running.is_empty() {
            return;
        }
        let at = self.world.lock().rng.index(running.len());
        act(self, running[at]);
    }

    fn stop(&self, instance: usize) {
        let mut state = self.world.lock();
        if let Some(running) = &mut self.slots.borrow_mut()[instance]
            && running.stopped_ms.is_none()
        {
            state.note("operator", || format!("stops i{instance}"));
            running.stop.send(true).ok();
            running.stopped_ms = Some(state.now());
        }
    }

    fn crash(&mut self, instance: usize) {
        self.slots.borrow_mut()[instance] = None;
        self.thaws.retain(|(_, frozen), ()| *frozen != instance);
        let mut state = self.world.lock();
        state.note("operator", || format!("kills i{instance}"));
        state.fall_silent(instance, true);
    }

    fn freeze(&mut self, instance: usize) {
        let mut state = self.world.lock();
        if let Some(running) = &mut self.slots.borrow_mut()[instance]
            && !running.frozen
        {
            running.frozen = true;
            let for_ms = if state.rng.chance(500) { state.rng.below(3_000) } else { state.rng.below(20_000) };
            state.note("operator", || format!("stops the process of i{instance} for {for_ms} ms"));
            state.fall_silent(instance, false);
            let at = state.now() + for_ms;
            self.thaws.insert((at, instance), ());
        }
    }

    fn thaw(&self, instance: usize) {
        if let Some(running) = &mut self.slots.borrow_mut()[instance] {
            running.frozen = false;
            let mut state = self.world.lock();
            state.note("operator", || format!("lets the process of i{instance} go on"));
            state.thaw(instance);
        }
    }

    /// Somebody's heartbeats get lost for long enough.
    fn lose(&self) {
        let mut state = self.world.lock();
        let members: Vec<u32> = state.kafka.clients.iter().filter_map(|client| client.member).collect();
        if !members.is_empty() {
            let at = state.rng.index(members.len());
            state.kick(members[at], "its heartbeats were lost");
        }
    }

    /// Removes the head of a log: what is committed, and sometimes what nobody has read.
    fn retain(&self) {
        let mut state = self.world.lock();
        let source = any_source(&mut state);
        let committed = state.model.committed(source);
        let log = &state.kafka.logs[source];
        let (low, end) = (log.low, if state.scenario.losing { log.stable() } else { committed.min(log.stable()) });
        let most = u64::try_from(end - low).unwrap_or(0);
        let low = low + i64::try_from(state.rng.below(most + 1)).unwrap_or(0);
        state.kafka.logs[source].low = low;
        state.note("kafka", || format!("retention: {source} begins at {low}"));
        let had = state.model.committed.contains_key(&source);
        for (_, made) in state.model.sources.entry(source).or_default().range_mut(committed..low.max(committed)) {
            made.lossy = true;
            made.missed = had;
        }
    }

    /// An application writes a few records, in a transaction or not.
    fn produce(&self) {
        let mut state = self.world.lock();
        if !state.calm && state.model.sources.values().map(BTreeMap::len).sum::<usize>() > RECORDS {
            return;
        }
        let source = any_source(&mut state);
        let txn = state.rng.chance(150).then(|| (state.kafka.new_txn(), state.rng.chance(600)));
        let count = state.rng.between(1, 6);
        for _ in 0..count {
            produce_one(&mut state, source, txn);
        }
        let end = state.kafka.logs[source].high();
        state.note("application", || format!("writes {count} records to {source}, up to {end}, transaction {txn:?}"));
        if let Some((txn, commit)) = txn {
            let in_ms = state.rng.below(600);
            state.schedule(in_ms, Event::SourceMarker { txn, log: source, commit });
        }
    }

    fn stop_all(&self) {
        let count = self.slots.borrow().len();
        (0..count).for_each(|instance| self.stop(instance));
    }

    async fn until_stopped(&mut self) {
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
            // One that was stopped before has ended, or ends now.
            if self.running() == 0 {
                self.start();
            }
            sleep(Duration::from_millis(250)).await;
        }
        false
    }

    /// The only member that the group has, if it knows that it is one.
    fn only_member(&self) -> Option<u32> {
        let mut state = self.world.lock();
        state.advance();
        let mut alive = state.kafka.clients.iter().filter(|client| client.alive);
        let (member, generation) = alive.next()?.metadata?;
        let only = alive.next().is_none() && state.kafka.group.knows(member, generation);
        only.then_some(member)
    }

    /// Invariant 8: what the only instance had begun was brought to its end, but for what was kept.
    fn check_drained(&self) {
        let mut state = self.world.lock();
        for (source, processed) in state.model.processed.clone() {
            let committed = state.model.committed(source);
            let behind = state.model.sources.get(&source).into_iter().flat_map(|all| all.range(committed..processed));
            // A record on which the processor dies closes the partition.
            let kept = behind.clone().any(|(_, made)| matches!(made.kind, Kind::Keep | Kind::Panic));
            let left: Vec<_> = behind.filter(|(_, made)| !made.lossy).map(|(offset, _)| *offset).collect();
            if !left.is_empty() && !kept {
                state.violated(format!("invariant 8: {left:?} of {source} were processed and left uncommitted"));
            }
        }
    }
}

fn any_source(state: &mut State) -> P {
    let at = state.rng.index(state.kafka.sources.len());
    state.kafka.sources[at]
}

fn produce_one(state: &mut State, source: P, txn: Option<(u64, bool)>) {
    let mut drawn = state.rng.below(state.scenario.kinds.iter().sum());
    let kind = state.scenario.kinds.iter().position(|weight| {
        let found = drawn < *weight;
        drawn = drawn.saturating_sub(*weight);
        found
    });
    let kind = kind.unwrap_or(0);
    let items = u8::try_from(state.rng.between(1, 3)).unwrap_or(1);
    let key = u8::try_from(state.rng.below(3)).unwrap_or(0);
    let mut value = vec![u8::try_from(kind).unwrap_or(0), items, key];
    value.resize(3 + state.rng.index(40), b'x');
    let headers = if state.rng.chance(200) { vec![("own".to_owned(), vec![key])] } else { Vec::new() };
    let timestamp_ms = i64::try_from(state.now()).unwrap_or(0);
    let record = Record { timestamp_ms, key: state.rng.chance(700).then(|| vec![key]), value: Some(value), headers };
    let offset = state.kafka.logs[source].append(txn.map(|(txn, _)| txn), record.clone());
    if txn.is_none_or(|(_, commit)| commit) {
        let keeps_state = state.scenario.state;
        state.model.produced(source, offset, (Kind::ALL[kind], items, key), record, keeps_state);
    }
}

/// What an instance runs with.
fn setup(state: &mut State, instance: usize) -> Setup {
    let drawn = &state.scenario.settings;
    let millis = Duration::from_millis;
    let settings = Settings {
        lanes: drawn.lanes,
        shards: drawn.shards,
        max_items: drawn.max_items,
        linger: millis(drawn.linger_ms),
        commit_interval: millis(drawn.commit_interval_ms),
        revoke_timeout: millis(drawn.revoke_timeout_ms),
        drain_timeout: millis(DRAIN_MS),
        tick_interval: millis(drawn.tick_interval_ms),
        start: Start::Earliest,
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
            group: "weir-sim".into(),
            dead_letter_topic: DEAD.into(),
            dead_letter_max_bytes: 10_000,
            state_topic: state.scenario.state.then(|| STATE.into()),
        },
        settings,
        limits: Limits::all(1_000),
        ends: None,
        threads: Threads::Simulated,
        budget,
        clock: Clock::starting_at(i64::try_from(state.now()).unwrap_or(0)),
        instruments,
        status: Status::default(),
    }
}
