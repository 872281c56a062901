//! The group's coordinator in the next protocol (KIP-848): it says what each member is to have, and
//! each comes to that in its own time and has an epoch of its own.

use super::State;
use super::group::{Change, Group, HEARTBEAT_MS};
use super::kafka::{C, Event, P};

impl State {
    /// In the next protocol: decides anew what each member is to have.
    pub fn retarget(&mut self) {
        let group = &mut self.kafka.group;
        group.generation += 1;
        let members: Vec<u32> = group.members.keys().copied().collect();
        let sources = self.kafka.sources.clone();
        let most = sources.len().div_ceil(members.len().max(1));
        let mut counts = vec![0; members.len()];
        for source in sources {
            let owner = self.kafka.group.owner(source);
            let kept = members.iter().position(|member| Some(*member) == owner);
            let kept = kept.filter(|at| counts[*at] < most && !self.fault(80));
            let Some(at) = kept.or_else(|| (0..counts.len()).min_by_key(|at| counts[*at])) else { continue };
            counts[at] += 1;
            self.kafka.group.targets.insert(source, members[at]);
        }
        let (generation, targets) = (self.kafka.group.generation, self.kafka.group.targets.clone());
        self.note("kafka", || format!("epoch {generation}: members {members:?}, to have {targets:?}"));
        for member in members {
            self.notify(member);
        }
    }

    fn notify(&mut self, member: u32) {
        if let Some(client) = self.kafka.group.members.get(&member).copied() {
            self.soon(HEARTBEAT_MS, Event::Notice(client, member));
        }
    }

    /// In the next protocol: a member says what it has, and hears what it is to have.
    pub fn heartbeat(&mut self, client: C, member: u32) {
        let consumer = &mut self.kafka.clients[client];
        if consumer.member != Some(member) || !self.kafka.group.members.contains_key(&member) {
            return;
        }
        if consumer.joining || consumer.awaiting.is_some() || !consumer.events.is_empty() {
            consumer.rejoin = true;
            return;
        }
        consumer.rejoin = false;
        let held = consumer.assignment.clone();
        let group = &mut self.kafka.group;
        let freed: Vec<P> = group
            .owners
            .iter()
            .filter(|(one, owner)| **owner == member && !held.contains(one))
            .map(|(one, _)| *one)
            .collect();
        let is_to_have = |group: &Group, one: &P| group.targets.get(one) == Some(&member);
        let revoked: Vec<P> = held.iter().copied().filter(|one| !is_to_have(group, one)).collect();
        group.owners.retain(|one, _| !freed.contains(one));
        let waiting: Vec<u32> = freed.iter().filter_map(|one| group.targets.get(one).copied()).collect();
        // What was let go of takes the member on to its next epoch, whatever is still to go.
        let epoch = group.epochs.entry(member).or_default();
        if !freed.is_empty() {
            *epoch = group.generation.min(*epoch + 1);
        }
        let acknowledged = (member, *epoch);
        if revoked.is_empty() {
            let generation = group.generation;
            group.epochs.insert(member, generation);
            let mut list: Vec<P> = held.into_iter().collect();
            for source in self.kafka.sources.clone() {
                let group = &mut self.kafka.group;
                if is_to_have(group, &source) && group.owner(source).is_none() {
                    group.owners.insert(source, member);
                    list.push(source);
                }
            }
            self.kafka.clients[client].joining = true;
            self.soon(HEARTBEAT_MS / 10, Event::Sync { client, member, generation, list });
        } else {
            let consumer = &mut self.kafka.clients[client];
            consumer.metadata = Some(acknowledged);
            consumer.events.push_back(Change::Revoked(revoked));
        }
        for member in waiting {
            self.notify(member);
        }
    }
}
