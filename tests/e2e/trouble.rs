//! Trouble for the processes of a job and for the brokers under it.

use std::hash::{BuildHasher, RandomState};
use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use weir_tests::counting::now_ms;
use weir_tests::stack::{Kafka, Signal};
use weir_tests::wait::wait_until;

use crate::job::{Job, Member, Topology, full};

/// Of every job.
pub(crate) const PARTITIONS: i32 = 12;
/// Members at most.
const MEMBERS: usize = 3;
/// What a process may take to end when it is told to: `drain_timeout`, which is 10 s, and what calls take that a broker
/// just back from the dead leaves without an answer: 10 s each.
const DRAIN: Duration = Duration::from_secs(40);
/// How long the partitions of a dead process may stay without one: its session, and then some.
const TAKEN_OVER: Duration = Duration::from_secs(90);
/// How long a broker that came back may disturb: elections, and replicas that catch up.
const SETTLES: Duration = Duration::from_secs(10);

/// With the classic protocol, and sessions as short as the broker allows, that a death is noticed soon.
pub(crate) const CLASSIC: Topology = Topology {
    properties: "\"session.timeout.ms\" = \"6000\"\n\"heartbeat.interval.ms\" = \"1000\"",
    process: "",
    worker: "drain_timeout = \"10s\"\ncommit_interval = \"100ms\"",
    remote_write: "",
    otlp: "",
    measure: "",
};
/// With KIP-848; how long a session is, is said to the brokers.
pub(crate) const CONSUMER: Topology = Topology {
    properties: "",
    process: "",
    worker: "drain_timeout = \"10s\"\ncommit_interval = \"100ms\"\ngroup_protocol = \"consumer\"",
    remote_write: "",
    otlp: "",
    measure: "",
};

/// How often what happens, in the short form.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// SIGKILLs of a process.
    pub kills: usize,
    /// SIGSTOPs of a process, until others have what it had, then SIGCONT.
    pub stops: usize,
    /// SIGKILLs of a broker, and its restarts.
    pub broker_kills: usize,
    /// Restarts of every process, one after the other.
    pub rolling_restarts: usize,
    /// Whether some processes have a name that outlives them: static membership.
    pub named: bool,
}

impl Plan {
    /// How often in the long form.
    fn long(self) -> Self {
        Self { kills: 100, stops: 20, broker_kills: 10, rolling_restarts: 5, ..self }
    }
}

#[derive(Debug, Clone, Copy)]
enum Event {
    Kill,
    Stop,
    KillBroker,
    RollingRestart,
}

/// When brokers were in trouble, in milliseconds since the epoch.
pub(crate) type Disturbed = Vec<Range<i64>>;

/// A cluster of three nodes whose nodes are killed and stopped; for one test at a time.
pub(crate) fn cluster() -> (&'static Kafka, MutexGuard<'static, ()>) {
    static CLUSTER: OnceLock<Kafka> = OnceLock::new();
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock();
    let kafka = CLUSTER.get_or_init(|| {
        let kafka = Kafka::start(3);
        kafka.create_topic("weir-dead-letters", 4, &[("max.message.bytes", "2097152")]);
        kafka.create_topic("weir-dead-letters-logs", 4, &[("max.message.bytes", "2097152")]);
        kafka
    });
    kafka.revive();
    (kafka, turn)
}

/// Puts a job under load and in trouble, from one process over three to one again, and waits for its end; what the load
/// came to, and when the brokers were in trouble.
pub(crate) fn under_load<M: Send>(
    job: &Job,
    url: &str,
    short: Plan,
    load: impl FnOnce(&AtomicBool) -> M + Send,
) -> (M, Disturbed) {
    under_plan(job, url, if full() { short.long() } else { short }, load)
}

/// The same, with a plan that is the same in both forms.
pub(crate) fn under_plan<M: Send>(
    job: &Job,
    url: &str,
    plan: Plan,
    load: impl FnOnce(&AtomicBool) -> M + Send,
) -> (M, Disturbed) {
    let sessions = "consumer.session.timeout.ms=6000,consumer.heartbeat.interval.ms=1000";
    let of_group = ["--entity-type", "groups", "--entity-name", &job.name, "--alter", "--add-config", sessions];
    job.kafka.tool("ConfigCommand", &of_group);
    let stop = AtomicBool::new(false);
    let mut trouble = Trouble { job, url, named: plan.named, members: Vec::new(), disturbed: Vec::new() };
    let made = scope(|scope| {
        let load = scope.spawn(|| load(&stop));
        let _stops = Stops(&stop);
        trouble.run(plan);
        stop.store(true, Ordering::SeqCst);
        load.join().unwrap()
    });
    job.caught_up(TAKEN_OVER);
    for (_, mut member) in trouble.members {
        leaves(&mut member);
    }
    job.caught_up(Duration::ZERO);
    (made, trouble.disturbed)
}

/// Stops the load when the trouble panics, or the scope would wait for it without end.
struct Stops<'a>(&'a AtomicBool);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

struct Trouble<'j> {
    job: &'j Job,
    url: &'j str,
    /// Whether those in odd seats have a name that outlives them.
    named: bool,
    /// The processes, by seat.
    members: Vec<(usize, Member)>,
    disturbed: Disturbed,
}

impl Trouble<'_> {
    fn run(&mut self, plan: Plan) {
        self.join(0);
        self.shared_out();
        self.join(1);
        self.join(2);
        self.shared_out();
        for event in shuffled(plan) {
            println!("{event:?}");
            match event {
                Event::Kill => self.kill(),
                Event::Stop => self.stop(),
                Event::KillBroker => self.kill_broker(),
                Event::RollingRestart => self.restart_all(),
            }
            // Now and then the next one comes before the last is got over.
            if below(3) > 0 {
                self.shared_out();
            }
            assert!(self.members.iter_mut().all(|(_, member)| member.process.is_running()), "one ended by itself");
        }
        self.shared_out();
        for _ in 1..MEMBERS {
            sleep(at_random(Duration::from_secs(3)));
            let (_, mut member) = self.members.remove(0);
            leaves(&mut member);
            self.shared_out();
        }
        sleep(at_random(Duration::from_secs(3)));
    }

    fn join(&mut self, seat: usize) {
        let named = self.named && seat % 2 == 1;
        let member =
            if named { self.job.start_as(self.url, &format!("seat-{seat}")) } else { self.job.start(self.url) };
        self.members.push((seat, member));
    }

    fn kill(&mut self) {
        sleep(at_random(Duration::from_secs(4)));
        let (seat, mut killed) = self.members.remove(below(self.members.len()));
        killed.process.kill();
        sleep(at_random(Duration::from_secs(2)));
        self.join(seat);
    }

    /// Holds a process up for longer than its session: what it had is somebody else's when it goes on.
    fn stop(&mut self) {
        self.shared_out();
        sleep(at_random(Duration::from_secs(2)));
        let (seat, stopped) = self.members.remove(below(self.members.len()));
        stopped.process.signal(Signal::SIGSTOP);
        self.shared_out();
        // Past the timeout of its transaction, too, or not.
        sleep(at_random(Duration::from_secs(6)));
        stopped.process.signal(Signal::SIGCONT);
        self.members.push((seat, stopped));
    }

    fn kill_broker(&mut self) {
        let (node, from) = (1 + below(3), now_ms());
        self.job.kafka.kill_node(node);
        // Others lead its partitions once it has been away for 9 s.
        sleep(at_random(Duration::from_secs(15)));
        self.job.kafka.start_node(node);
        self.disturbed.push(from..now_ms() + i64::try_from(SETTLES.as_millis()).unwrap());
    }

    fn restart_all(&mut self) {
        for _ in 0..self.members.len() {
            let (seat, mut member) = self.members.remove(0);
            leaves(&mut member);
            self.join(seat);
            self.shared_out();
        }
    }

    /// Waits until each of the members has a share, and all together have all partitions.
    #[track_caller]
    fn shared_out(&self) {
        wait_until(TAKEN_OVER, "partition in every hand", || {
            let running = self.members.iter().map(|(_, member)| member.running()).collect::<Result<Vec<_>, _>>()?;
            let all = running.iter().sum::<usize>() == usize::try_from(PARTITIONS).unwrap();
            if all && running.iter().all(|count| *count > 0) {
                return Ok(());
            }
            let problems = self.members.iter().map(|(_, member)| member.problems()).collect::<Result<Vec<_>, _>>()?;
            Err(format!("{running:?} partitions, {:?}", problems.concat()))
        });
    }
}

/// Tells a process to end, which it does in time, with exit code 0.
#[track_caller]
fn leaves(member: &mut Member) {
    let told = Instant::now();
    let status = member.process.terminate(DRAIN);
    println!("ended after {:?}", told.elapsed());
    assert_eq!(status.code(), Some(0), "{}", member.process.stderr());
}

/// The events of a plan in a random order.
fn shuffled(plan: Plan) -> Vec<Event> {
    let Plan { kills, stops, broker_kills, rolling_restarts, named: _ } = plan;
    let counts = [
        (Event::Kill, kills),
        (Event::Stop, stops),
        (Event::KillBroker, broker_kills),
        (Event::RollingRestart, rolling_restarts),
    ];
    let events = counts.into_iter().flat_map(|(event, count)| std::iter::repeat_n(event, count));
    let mut drawn: Vec<_> = events.map(|event| (random(), event)).collect();
    drawn.sort_by_key(|(order, _)| *order);
    drawn.into_iter().map(|(_, event)| event).collect()
}

fn random() -> u64 {
    RandomState::new().hash_one(0)
}

pub(crate) fn below(count: usize) -> usize {
    usize::try_from(random() % u64::try_from(count).unwrap()).unwrap()
}

/// A moment within `most`; it is printed, and shown when the test fails.
pub(crate) fn at_random(most: Duration) -> Duration {
    let moment = most.mul_f64(random() as f64 / u64::MAX as f64);
    println!("after {moment:?}:");
    moment
}
