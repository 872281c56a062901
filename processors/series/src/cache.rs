//! What was translated before.
//!
//! Two generations: what is used moves to the young one; when that has taken half of the limit, the
//! old one goes and the young one grows old. So what is kept is what was used last, within the
//! limit, without a clock or a list.

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use foldhash::fast::{FixedState, FoldHasher};
use hashbrown::HashTable;

use crate::delta::DeltaKey;
use crate::kept::{Kept, Pages};
use crate::resource::{ResourceLabels, ScopeLabels};
use crate::series::Make;
use crate::translate::Family;

/// What else a key is under: numbers of its resource, its scope and its family, never given twice.
pub(crate) type Context = [u64; 3];

/// The context of what stands alone.
const ALONE: Context = [0; 3];

/// What the points of one set of attributes become.
pub(crate) enum Target<S> {
    /// The series of a gauge or counter.
    One(Kept<S>),
    /// The series of a histogram or summary: sum, count, then what is counted by bound or quantile.
    Many(Arc<Vec<Kept<S>>>),
    /// The same of deltas.
    Delta(Arc<DeltaTarget<S>>),
}

/// What deltas of one set of attributes become.
pub(crate) struct DeltaTarget<S> {
    /// Where they are added up.
    pub(crate) key: DeltaKey,
    pub(crate) series: Vec<Kept<S>>,
}

impl<S> Clone for Target<S> {
    #[inline]
    fn clone(&self) -> Self {
        match self {
            Self::One(series) => Self::One(series.clone()),
            Self::Many(group) => Self::Many(group.clone()),
            Self::Delta(target) => Self::Delta(target.clone()),
        }
    }
}

impl<S> Target<S> {
    /// The same, its series counted together with those that are met now.
    fn on(&self, pages: &mut Pages<S>) -> Self {
        let mut all = |series: &Vec<Kept<S>>| series.iter().map(|series| pages.keep_on(series)).collect();
        match self {
            Self::One(series) => Self::One(pages.keep_on(series)),
            Self::Many(group) => Self::Many(Arc::new(all(group))),
            Self::Delta(target) => Self::Delta(Arc::new(DeltaTarget { key: target.key, series: all(&target.series) })),
        }
    }
}

/// Everything that was translated before, up to a limit of bytes.
pub(crate) struct Cache<M: Make> {
    resources: Table<Arc<ResourceLabels<M::Series>>>,
    scopes: Table<Arc<ScopeLabels>>,
    families: Table<Arc<Family<M::Family>>>,
    targets: Table<Target<M::Series>>,
    pages: Pages<M::Series>,
    hashes: FixedState,
    next_id: u64,
    young_bytes: usize,
    old_bytes: usize,
    limit_bytes: usize,
}

impl<M: Make> Cache<M> {
    pub(crate) fn new(limit_bytes: usize) -> Self {
        Self {
            resources: Table::default(),
            scopes: Table::default(),
            families: Table::default(),
            targets: Table::default(),
            pages: Pages::default(),
            hashes: FixedState::with_seed(0),
            next_id: 0,
            young_bytes: 0,
            old_bytes: 0,
            limit_bytes,
        }
    }

    pub(crate) fn hasher(&self) -> FoldHasher<'static> {
        self.hashes.build_hasher()
    }

    /// A number that was never given before.
    pub(crate) fn next_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// What a resource adds to labels, by its bytes.
    ///
    /// # Errors
    /// Not known; the hash of the key, as for all that can be got.
    pub(crate) fn get_resource(&mut self, key: &[u8]) -> Result<Arc<ResourceLabels<M::Series>>, u64> {
        let hash = || hash(&self.hashes, key);
        self.resources.get(&ALONE, key, hash, Arc::clone, &mut self.young_bytes)
    }

    pub(crate) fn put_resource(&mut self, hash: u64, key: &[u8], labels: Arc<ResourceLabels<M::Series>>) {
        let bytes = self.resources.insert(hash, ALONE, key, labels, 0);
        self.charge(bytes);
    }

    pub(crate) fn get_scope(&mut self, key: &[u8]) -> Result<Arc<ScopeLabels>, u64> {
        let hash = || hash(&self.hashes, key);
        self.scopes.get(&ALONE, key, hash, Arc::clone, &mut self.young_bytes)
    }

    pub(crate) fn put_scope(&mut self, hash: u64, key: &[u8], labels: Arc<ScopeLabels>) {
        let bytes = self.scopes.insert(hash, ALONE, key, labels, 0);
        self.charge(bytes);
    }

    pub(crate) fn get_family(&mut self, key: &[u8]) -> Result<Arc<Family<M::Family>>, u64> {
        let hash = || hash(&self.hashes, key);
        self.families.get(&ALONE, key, hash, Arc::clone, &mut self.young_bytes)
    }

    pub(crate) fn put_family(&mut self, hash: u64, key: &[u8], family: Arc<Family<M::Family>>) {
        let bytes = self.families.insert(hash, ALONE, key, family, 0);
        self.charge(bytes);
    }

    /// Keeps a series, to be put under a key.
    pub(crate) fn keep(&mut self, series: M::Series) -> Kept<M::Series> {
        self.pages.keep(series)
    }

    /// What a point becomes, by its attributes' bytes.
    #[inline]
    pub(crate) fn get_target(&mut self, context: &Context, key: &[u8]) -> Result<Target<M::Series>, u64> {
        let hash = || {
            let mut hasher = self.hashes.build_hasher();
            context.iter().for_each(|id| hasher.write_u64(*id));
            hasher.write(key);
            hasher.finish()
        };
        let renewed = |target: &Target<_>| target.on(&mut self.pages);
        self.targets.get(context, key, hash, renewed, &mut self.young_bytes)
    }

    pub(crate) fn put_target(&mut self, hash: u64, context: Context, key: &[u8], target: Target<M::Series>) {
        let weight = |series: &Kept<M::Series>| M::weight(series) + Kept::<M::Series>::BYTES;
        let series = match &target {
            Target::One(series) => weight(series),
            Target::Many(group) => group.iter().map(weight).sum(),
            Target::Delta(target) => target.series.iter().map(weight).sum(),
        };
        let bytes = self.targets.insert(hash, context, key, target, series);
        self.charge(bytes);
    }

    /// Charges what was put into one of the tables, and lets the old generation go when the young
    /// one is full.
    fn charge(&mut self, bytes: usize) {
        self.young_bytes += bytes;
        if self.young_bytes > self.limit_bytes / 2 {
            self.age();
        }
    }

    /// Lets the old generation go; the young one grows old.
    pub(crate) fn age(&mut self) {
        self.resources.age();
        self.scopes.age();
        self.families.age();
        self.targets.age();
        self.pages.turn();
        self.old_bytes = std::mem::take(&mut self.young_bytes);
    }

    /// How many sets of attributes are kept with what they become.
    pub(crate) fn len(&self) -> usize {
        self.targets.len()
    }

    /// What is kept weighs about so many bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.young_bytes + self.old_bytes
    }
}

fn hash(hashes: &FixedState, key: &[u8]) -> u64 {
    let mut hasher = hashes.build_hasher();
    hasher.write(key);
    hasher.finish()
}

/// Values by context and key, in two generations. Keys are compared byte for byte: a hash alone
/// never decides which series a value goes to.
struct Table<V> {
    young: Generation<V>,
    old: Generation<V>,
    /// Where in the young generation the next value is expected: behind the last one. Senders
    /// repeat themselves in the same order, so that what they repeat lies in memory in that order.
    next: usize,
}

/// Slots in the order in which they were first asked for.
struct Generation<V> {
    /// Positions in `slots`, by hash.
    index: HashTable<usize>,
    /// None where a slot has become young again.
    slots: Vec<Option<Slot<V>>>,
}

struct Slot<V> {
    hash: u64,
    context: Context,
    key: Box<[u8]>,
    /// What the slot and all that it alone keeps weigh, in bytes.
    bytes: usize,
    value: V,
}

impl<V> Default for Generation<V> {
    fn default() -> Self {
        Self { index: HashTable::new(), slots: Vec::new() }
    }
}

impl<V> Generation<V> {
    fn len(&self) -> usize {
        self.index.len()
    }

    #[inline]
    fn at(&self, position: usize) -> Option<&Slot<V>> {
        self.slots.get(position)?.as_ref()
    }

    fn push(&mut self, slot: Slot<V>) {
        let hash = slot.hash;
        let slots = &mut self.slots;
        slots.push(Some(slot));
        let hash_of = |position: &usize| slots.get(*position).and_then(Option::as_ref).map_or(0, |slot| slot.hash);
        self.index.insert_unique(hash, slots.len() - 1, hash_of);
    }
}

impl<V> Default for Table<V> {
    fn default() -> Self {
        Self { young: Generation::default(), old: Generation::default(), next: 0 }
    }
}

impl<V: Clone> Table<V> {
    /// The value under a key; what becomes young again is `renewed`, and `charged`.
    ///
    /// # Errors
    /// There is none; the hash of the key, for inserting it.
    #[inline]
    fn get(
        &mut self,
        context: &Context,
        key: &[u8],
        hash: impl FnOnce() -> u64,
        renewed: impl FnOnce(&V) -> V,
        charged: &mut usize,
    ) -> Result<V, u64> {
        let same = |slot: &Slot<V>| slot.context == *context && *slot.key == *key;
        if let Some(slot) = self.young.at(self.next)
            && same(slot)
        {
            self.next += 1;
            return Ok(slot.value.clone());
        }
        let hash = hash();
        let found = |position: &usize, slots: &Generation<V>| slots.at(*position).is_some_and(same);
        if let Some(&position) = self.young.index.find(hash, |position| found(position, &self.young)) {
            self.next = position + 1;
            return self.young.at(position).map(|slot| slot.value.clone()).ok_or(hash);
        }
        self.renew(hash, same, renewed, charged).ok_or(hash)
    }

    /// Makes a slot of the old generation young again.
    fn renew(
        &mut self,
        hash: u64,
        same: impl Fn(&Slot<V>) -> bool,
        renewed: impl FnOnce(&V) -> V,
        charged: &mut usize,
    ) -> Option<V> {
        let slots = &mut self.old.slots;
        let found = |position: &usize| slots.get(*position).and_then(Option::as_ref).is_some_and(&same);
        let (position, _) = self.old.index.find_entry(hash, found).ok()?.remove();
        let slot = slots.get_mut(position)?.take()?;
        let value = renewed(&slot.value);
        *charged += slot.bytes;
        self.young.push(Slot { value: value.clone(), ..slot });
        self.next = self.young.slots.len();
        Some(value)
    }

    /// Puts a value under a key that is not there, with what the value itself weighs; returns what
    /// that weighs altogether.
    fn insert(&mut self, hash: u64, context: Context, key: &[u8], value: V, weight: usize) -> usize {
        // The slot, its position in the index with a byte of the index's own, and what it keeps.
        let bytes = size_of::<Option<Slot<V>>>() + size_of::<usize>() + 1 + key.len() + weight;
        self.young.push(Slot { hash, context, key: key.into(), bytes, value });
        self.next = self.young.slots.len();
        bytes
    }

    fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    fn age(&mut self) {
        self.old = std::mem::take(&mut self.young);
        self.next = 0;
    }
}
