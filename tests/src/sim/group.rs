//! The group's coordinator, and what its members' clients do about it: in the classic cooperative
//! protocol, where all members join, and a partition is given away only in the generation after its
//! owner has let go of it. What is different in the next protocol is in [`super::epochs`].

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use weir_contract::Output;

use super::State;
use super::kafka::{C, Event, P};

/// After so long without a heartbeat a member is out, in milliseconds.
pub(crate) const SESSION_TIMEOUT_MS: u64 = 6_000;
/// So long a rebalance waits for members to join, in milliseconds.
const REBALANCE_TIMEOUT_MS: u64 = 15_000;
/// The longest time until a member hears of something, in milliseconds.
pub(crate) const HEARTBEAT_MS: u64 = 1_000;

#[derive(Default)]
pub(crate) struct Group {
    pub next_protocol: bool,
    pub generation: i32,
    /// In the next protocol: the epoch that each member has come to.
    pub epochs: BTreeMap<u32, i32>,
    /// In the next protocol: who is to have a partition.
    pub targets: BTreeMap<P, u32>,
    /// Those who have joined the rebalance under way.
    joined: Option<BTreeSet<u32>>,
    round: u64,
    pub members: BTreeMap<u32, C>,
    /// Who may commit a partition: from when it is given until the member has let go, or is out.
    pub owners: BTreeMap<P, u32>,
    /// The static members, by their instance ID.
    statics: BTreeMap<usize, u32>,
    /// Who let go of a partition last, and in which generation.
    let_go: BTreeMap<P, (u32, i32)>,
    last_member: u32,
}

/// A client: a member of the group, a reader and a producer.
pub(crate) struct Consumer {
    pub name: String,
    pub instance: usize,
    /// The instance ID of a static member.
    pub identity: Option<usize>,
    /// Neither closed nor gone with its process.
    pub alive: bool,
    /// It left the group; a static member only for a while.
    closed: bool,
    /// Another one with its instance ID is in the group, so this one is of no use.
    pub fenced: Option<&'static str>,
    frozen: bool,
    stamp: u64,
    /// What comes once the process runs again.
    deferred: Vec<Event>,

    pub member: Option<u32>,
    /// Member and generation, as a transaction wants them.
    pub metadata: Option<(u32, i32)>,
    pub assignment: BTreeSet<P>,
    pub events: VecDeque<Change>,
    pub awaiting: Option<Change>,
    added_after: Option<Vec<P>>,
    pub joining: bool,
    pub rejoin: bool,
    pub lost: bool,
    pub fetch: BTreeMap<P, Fetch>,

    pub tid: String,
    pub epoch: u32,
    pub txn: Option<u64>,
    /// Records that the producer has taken and not sent.
    pub queue: VecDeque<Output>,
}

/// What a client is told about its partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Assigned(Vec<P>),
    Revoked(Vec<P>),
    Lost(Vec<P>),
}

/// Where a client's reader is in a partition.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fetch {
    /// The offset that is given next.
    pub position: i64,
    /// Everything below is in the client's queue.
    pub fetched: i64,
    pub paused: bool,
    /// It was out of range, and said so.
    pub broken: bool,
}

impl Group {
    pub fn new(next_protocol: bool) -> Self {
        Self { next_protocol, ..Self::default() }
    }

    /// Whether the member is one, of this generation.
    pub fn knows(&self, member: u32, generation: i32) -> bool {
        let current = if self.next_protocol { self.epochs.get(&member) } else { Some(&self.generation) };
        current == Some(&generation) && self.members.contains_key(&member)
    }

    pub fn owner(&self, partition: P) -> Option<u32> {
        self.owners.get(&partition).copied()
    }

    /// Whether the member has let go of the partition in this very generation.
    pub fn was_let_go_by(&self, partition: P, member: u32) -> bool {
        self.let_go.get(&partition) == Some(&(member, self.generation))
    }
}

impl State {
    /// A client of an instance, which joins the group in a while; a static member has an instance ID, and
    /// a transactional ID from it.
    pub fn connect(&mut self, instance: usize, identity: usize) -> C {
        let client = self.kafka.clients.len();
        let name = format!("i{instance}/{client}");
        let identity = self.scenario.static_members.then_some(identity);
        let tid = identity.map_or_else(|| name.clone(), |identity| format!("id{identity}"));
        self.kafka.clients.push(Consumer {
            name: name.clone(),
            instance,
            identity,
            alive: true,
            closed: false,
            fenced: None,
            frozen: false,
            stamp: 0,
            deferred: Vec::new(),
            member: None,
            metadata: None,
            assignment: BTreeSet::new(),
            events: VecDeque::new(),
            awaiting: None,
            added_after: None,
            joining: false,
            rejoin: false,
            lost: false,
            fetch: BTreeMap::new(),
            tid,
            epoch: 0,
            txn: None,
            queue: VecDeque::new(),
        });
        self.note(name, || "connects".into());
        self.soon(HEARTBEAT_MS / 4, Event::Join(client));
        client
    }

    pub fn soon(&mut self, within_ms: u64, event: Event) {
        let in_ms = self.rng.below(within_ms + 1);
        self.schedule(in_ms, event);
    }

    pub fn group_event(&mut self, event: Event) {
        let whose = match &event {
            Event::Join(client) | Event::Rejoin(client, _) | Event::Notice(client, _) | Event::Discover(client, _) => {
                Some(*client)
            }
            Event::Sync { client, .. } => Some(*client),
            _ => None,
        };
        if let Some(client) = whose {
            let consumer = &mut self.kafka.clients[client];
            if consumer.frozen {
                consumer.deferred.push(event);
                return;
            }
            if !consumer.alive {
                return;
            }
        }
        match event {
            Event::Join(client) => self.join(client),
            Event::Rejoin(client, member) | Event::Notice(client, member) if self.kafka.group.next_protocol => {
                self.heartbeat(client, member);
            }
            Event::Rejoin(client, member) => self.rejoin(client, member),
            Event::Notice(client, member) => {
                let joined = self.kafka.group.joined.as_ref();
                if joined.is_some_and(|joined| !joined.contains(&member)) {
                    self.rejoin(client, member);
                }
            }
            Event::JoinDeadline { round } => self.join_deadline(round),
            Event::Sync { client, member, generation, list } => self.synced(client, member, generation, list),
            Event::SessionTimeout { client, stamp } => {
                let consumer = &self.kafka.clients[client];
                if consumer.stamp == stamp
                    && let Some(member) = consumer.member
                {
                    self.kick(member, "session timeout");
                }
            }
            Event::Discover(client, member) => self.discovered(client, member),
            _ => {}
        }
    }

    fn join(&mut self, client: C) {
        let group = &mut self.kafka.group;
        let identity = self.kafka.clients[client].identity;
        let before = identity.and_then(|identity| group.statics.get(&identity)).copied();
        let before = before.and_then(|member| Some((member, *group.members.get(&member)?)));
        if let Some((_, owner)) = before
            && group.next_protocol
            && !self.kafka.clients[owner].closed
        {
            self.covers("an instance ID that is not released yet");
            return self.put_off(client, "UNRELEASED_INSTANCE_ID");
        }
        group.last_member += 1;
        let member = group.last_member;
        group.members.insert(member, client);
        if let Some(identity) = identity {
            group.statics.insert(identity, member);
        }
        let consumer = &mut self.kafka.clients[client];
        consumer.member = Some(member);
        let name = consumer.name.clone();
        self.note(name, || format!("joins as member {member}"));
        if let Some((before, owner)) = before {
            self.take_over(client, member, before, owner);
        } else if self.kafka.group.next_protocol {
            self.retarget();
        } else {
            self.rejoin(client, member);
        }
    }

    /// A static member has come back, or a twin of it has come: it is given what the member before had, in
    /// the same generation.
    fn take_over(&mut self, client: C, member: u32, before: u32, owner: C) {
        let group = &mut self.kafka.group;
        group.members.remove(&before);
        for now in group.owners.values_mut().chain(group.targets.values_mut()).filter(|now| **now == before) {
            *now = member;
        }
        let epoch = group.epochs.remove(&before).unwrap_or_default();
        let generation = if group.next_protocol { epoch } else { group.generation };
        group.epochs.insert(member, epoch);
        let list = group.owners.iter().filter(|(_, now)| **now == member).map(|(source, _)| *source).collect();
        if self.kafka.clients[owner].alive {
            self.covers("a twin that is fenced");
            self.put_off(owner, "FENCED_INSTANCE_ID");
        }
        if let Some(joined) = &mut self.kafka.group.joined {
            joined.remove(&before);
            // It joins as one that has nothing.
            self.kafka.group.owners.retain(|_, owner| *owner != member);
            return self.rejoin(client, member);
        }
        self.covers("a static member that comes back without a rebalance");
        // Kafka itself leaves a partition alone that its owner let go of and died: somebody has to see it.
        if !self.kafka.group.next_protocol
            && !self.kafka.sources.iter().all(|source| self.kafka.group.owners.contains_key(source))
        {
            self.rebalance();
        }
        let consumer = &mut self.kafka.clients[client];
        consumer.joining = true;
        // In the next protocol it says with its next heartbeat what it has.
        consumer.rejoin = self.kafka.group.next_protocol;
        self.soon(HEARTBEAT_MS / 10, Event::Sync { client, member, generation, list });
    }

    fn put_off(&mut self, client: C, why: &'static str) {
        let consumer = &mut self.kafka.clients[client];
        consumer.fenced = Some(why);
        let name = consumer.name.clone();
        self.note(name, || format!("hears {why}"));
    }

    /// The group hears of new partitions.
    pub fn regroup(&mut self) {
        if self.kafka.group.members.is_empty() {
        } else if self.kafka.group.next_protocol {
            self.retarget();
        } else {
            self.rebalance();
        }
    }

    /// Joins a rebalance, or begins one; a change that is not answered yet comes first.
    fn rejoin(&mut self, client: C, member: u32) {
        let consumer = &mut self.kafka.clients[client];
        if consumer.member != Some(member) {
            return;
        }
        if consumer.joining || consumer.awaiting.is_some() || !consumer.events.is_empty() {
            consumer.rejoin = true;
            return;
        }
        consumer.rejoin = false;
        if !self.kafka.group.members.contains_key(&member) {
            return; // it will hear of it
        }
        consumer.joining = true;
        self.rebalance();
        if let Some(joined) = &mut self.kafka.group.joined {
            joined.insert(member);
        }
        self.complete_if_joined();
    }

    fn rebalance(&mut self) {
        let group = &mut self.kafka.group;
        if group.joined.is_some() {
            return;
        }
        group.joined = Some(BTreeSet::new());
        group.round += 1;
        let round = group.round;
        let members: Vec<_> = group.members.iter().map(|(member, client)| (*member, *client)).collect();
        self.note("kafka", || "a rebalance begins".into());
        self.schedule(REBALANCE_TIMEOUT_MS, Event::JoinDeadline { round });
        for (member, client) in members {
            self.soon(HEARTBEAT_MS, Event::Notice(client, member));
        }
    }

    fn join_deadline(&mut self, round: u64) {
        let group = &self.kafka.group;
        let Some(joined) = group.joined.as_ref().filter(|_| group.round == round) else { return };
        let late: Vec<_> = group.members.keys().filter(|member| !joined.contains(member)).copied().collect();
        for member in late {
            self.kick(member, "did not join in time");
        }
    }

    /// Puts a member out, who hears of it later.
    pub fn kick(&mut self, member: u32, why: &str) {
        let group = &mut self.kafka.group;
        let Some(client) = group.members.remove(&member) else { return };
        group.owners.retain(|_, owner| *owner != member);
        self.note("kafka", || format!("member {member} is out: {why}"));
        self.soon(HEARTBEAT_MS, Event::Discover(client, member));
        self.after_leaving(member);
    }

    fn after_leaving(&mut self, member: u32) {
        if self.kafka.group.next_protocol {
            self.kafka.group.epochs.remove(&member);
            return self.retarget();
        }
        match &mut self.kafka.group.joined {
            Some(joined) => {
                joined.remove(&member);
            }
            None => self.rebalance(),
        }
        self.complete_if_joined();
    }

    fn complete_if_joined(&mut self) {
        let group = &mut self.kafka.group;
        let Some(joined) = &group.joined else { return };
        if !group.members.keys().all(|member| joined.contains(member)) {
            return;
        }
        group.joined = None;
        if group.members.is_empty() {
            return;
        }
        group.generation += 1;
        let generation = group.generation;
        let members: Vec<_> = group.members.iter().map(|(member, client)| (*member, *client)).collect();
        let lists = self.assign(&members);
        let owners = &self.kafka.group.owners;
        let told = format!("generation {generation}: members {members:?}, owners {owners:?}");
        self.note("kafka", || told);
        for ((member, client), list) in members.into_iter().zip(lists) {
            self.soon(HEARTBEAT_MS / 10, Event::Sync { client, member, generation, list });
        }
    }

    /// What each member has from now on: what it had and keeps, and what nobody has.
    fn assign(&mut self, members: &[(u32, C)]) -> Vec<Vec<P>> {
        let sources = self.kafka.sources.clone();
        let most = sources.len().div_ceil(members.len().max(1));
        let mut lists: Vec<Vec<P>> = vec![Vec::new(); members.len()];
        let mut targets: Vec<usize> = vec![0; members.len()];
        let place = |owner: u32| members.iter().position(|(member, _)| *member == owner);
        let mut homeless = Vec::new();
        for source in sources {
            match self.kafka.group.owner(source).and_then(place) {
                Some(at) if targets[at] < most && !self.fault(80) => {
                    targets[at] += 1;
                    lists[at].push(source);
                }
                _ => homeless.push(source),
            }
        }
        for source in homeless {
            let Some(at) = (0..targets.len()).min_by_key(|at| targets[*at]) else { continue };
            targets[at] += 1;
            let (member, _) = members[at];
            match self.kafka.group.owner(source) {
                None => {
                    self.kafka.group.owners.insert(source, member);
                    lists[at].push(source);
                }
                Some(owner) if owner == member => lists[at].push(source),
                Some(_) => {} // its owner lets go of it first
            }
        }
        lists
    }

    fn synced(&mut self, client: C, member: u32, generation: i32, list: Vec<P>) {
        let consumer = &mut self.kafka.clients[client];
        if consumer.member != Some(member) {
            return;
        }
        consumer.joining = false;
        let first = consumer.metadata.replace((member, generation)).is_none_or(|(before, _)| before != member);
        let revoked: Vec<_> = consumer.assignment.iter().copied().filter(|have| !list.contains(have)).collect();
        let added: Vec<_> = list.into_iter().filter(|given| !consumer.assignment.contains(given)).collect();
        if self.kafka.group.next_protocol && added.is_empty() && !first {
            if consumer.rejoin {
                self.soon(50, Event::Rejoin(client, member));
            }
        } else if revoked.is_empty() {
            consumer.events.push_back(Change::Assigned(added));
        } else {
            consumer.events.push_back(Change::Revoked(revoked));
            consumer.added_after = Some(added);
        }
    }

    /// A member hears that it is none any more.
    fn discovered(&mut self, client: C, member: u32) {
        let consumer = &mut self.kafka.clients[client];
        if consumer.member != Some(member) {
            return;
        }
        consumer.member = None;
        consumer.lost = true;
        self.covers("an assignment that is lost");
        let consumer = &mut self.kafka.clients[client];
        consumer.events.clear();
        consumer.added_after = None;
        consumer.joining = false;
        consumer.rejoin = false;
        let name = consumer.name.clone();
        self.note(name, || "hears that its assignment is lost".into());
        self.tell_lost(client);
    }

    fn tell_lost(&mut self, client: C) {
        let consumer = &mut self.kafka.clients[client];
        if !consumer.lost || consumer.awaiting.is_some() {
            return;
        }
        if consumer.assignment.is_empty() {
            consumer.lost = false;
            self.soon(HEARTBEAT_MS, Event::Join(client));
        } else {
            let all = consumer.assignment.iter().copied().collect();
            consumer.events.push_back(Change::Lost(all));
        }
    }

    /// The application has taken what it was given.
    pub fn answered_assigned(&mut self, client: C) {
        let consumer = &mut self.kafka.clients[client];
        let Some(Change::Assigned(added)) = consumer.awaiting.take_if(|change| matches!(change, Change::Assigned(_)))
        else {
            return;
        };
        consumer.assignment.extend(added);
        let (name, rejoin) = (consumer.name.clone(), consumer.rejoin.then_some(consumer.member).flatten());
        self.note(name, || "answers the assignment".into());
        if let Some(member) = rejoin {
            self.soon(50, Event::Rejoin(client, member));
        }
        self.tell_lost(client);
    }

    /// The application has let go of partitions, asked or not.
    pub fn let_go(&mut self, client: C, gone: &[P]) {
        let consumer = &mut self.kafka.clients[client];
        let asked = match &consumer.awaiting {
            Some(Change::Revoked(list) | Change::Lost(list)) => list.iter().all(|one| gone.contains(one)),
            _ => false,
        };
        for one in gone {
            consumer.fetch.remove(one);
        }
        if !asked {
            return;
        }
        let (name, member) = (consumer.name.clone(), consumer.member);
        let answered = consumer.awaiting.take();
        for one in gone {
            consumer.assignment.remove(one);
            let group = &mut self.kafka.group;
            // In the next protocol the coordinator hears of it with the next heartbeat.
            if let Some(member) = member.filter(|_| !group.next_protocol)
                && group.owner(*one) == Some(member)
            {
                group.owners.remove(one);
                group.let_go.insert(*one, (member, group.generation));
            }
        }
        self.note(name, || format!("lets go of {gone:?}"));
        let consumer = &mut self.kafka.clients[client];
        match answered {
            Some(Change::Lost(_)) => {
                consumer.lost = false;
                self.soon(HEARTBEAT_MS, Event::Join(client));
            }
            _ if consumer.lost => self.tell_lost(client),
            _ if self.kafka.group.next_protocol => {
                if let Some(member) = member {
                    self.soon(50, Event::Rejoin(client, member));
                }
            }
            _ => {
                if let Some(added) = consumer.added_after.take() {
                    consumer.events.push_back(Change::Assigned(added));
                    consumer.rejoin = true;
                }
            }
        }
    }

    /// A client leaves for good.
    pub fn leave(&mut self, client: C) {
        let consumer = &mut self.kafka.clients[client];
        consumer.alive = false;
        consumer.closed = true;
        let name = consumer.name.clone();
        if consumer.identity.is_some() {
            // A static member says nothing: it has its time to come back.
            consumer.stamp += 1;
            let stamp = consumer.stamp;
            self.note(name, || "goes, without leaving".into());
            return self.schedule(SESSION_TIMEOUT_MS, Event::SessionTimeout { client, stamp });
        }
        let member = consumer.member.take();
        self.note(name, || "leaves".into());
        let Some(member) = member else { return };
        let group = &mut self.kafka.group;
        if group.members.remove(&member).is_some() {
            group.owners.retain(|_, owner| *owner != member);
            self.after_leaving(member);
        }
    }

    /// The clients of an instance are heard of no more, for ever or until it thaws.
    pub fn fall_silent(&mut self, instance: usize, for_ever: bool) {
        for client in self.clients_of(instance) {
            let consumer = &mut self.kafka.clients[client];
            consumer.alive = !for_ever;
            consumer.frozen = !for_ever;
            consumer.stamp += 1;
            let stamp = consumer.stamp;
            self.schedule(SESSION_TIMEOUT_MS, Event::SessionTimeout { client, stamp });
        }
    }

    /// They go on where they were.
    pub fn thaw(&mut self, instance: usize) {
        for client in self.clients_of(instance) {
            let consumer = &mut self.kafka.clients[client];
            consumer.frozen = false;
            consumer.stamp += 1;
            for event in std::mem::take(&mut consumer.deferred) {
                self.soon(HEARTBEAT_MS, event);
            }
        }
    }

    fn clients_of(&self, instance: usize) -> Vec<C> {
        let all = self.kafka.clients.iter().enumerate();
        all.filter(|(_, client)| client.alive && client.instance == instance).map(|(index, _)| index).collect()
    }
}
