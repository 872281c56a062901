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
        self.resources.get(&ALONE, key, alone(&self.hashes), Arc::clone, &mut self.young_bytes)
    }

    pub(crate) fn put_resource(&mut self, hash: u64, key: &[u8], labels: Arc<ResourceLabels<M::Series>>) {
        let bytes = self.resources.insert(hash, ALONE, key, labels, 0, alone(&self.hashes));
        self.charge(bytes);
    }

    pub(crate) fn get_scope(&mut self, key: &[u8]) -> Result<Arc<ScopeLabels>, u64> {
        self.scopes.get(&ALONE, key, alone(&self.hashes), Arc::clone, &mut self.young_bytes)
    }

    pub(crate) fn put_scope(&mut self, hash: u64, key: &[u8], labels: Arc<ScopeLabels>) {
        let bytes = self.scopes.insert(hash, ALONE, key, labels, 0, alone(&self.hashes));
        self.charge(bytes);
    }

    pub(crate) fn get_family(&mut self, key: &[u8]) -> Result<Arc<Family<M::Family>>, u64> {
        self.families.get(&ALONE, key, alone(&self.hashes), Arc::clone, &mut self.young_bytes)
    }

    pub(crate) fn put_family(&mut self, hash: u64, key: &[u8], family: Arc<Family<M::Family>>) {
        let bytes = self.families.insert(hash, ALONE, key, family, 0, alone(&self.hashes));
        self.charge(bytes);
    }

    /// Keeps a series, to be put under a key.
    pub(crate) fn keep(&mut self, series: M::Series) -> Kept<M::Series> {
        let mark = M::mark(&series);
        self.pages.keep(series, mark)
    }

    /// What a point becomes, by its attributes' bytes.
    #[inline]
    pub(crate) fn get_target(&mut self, context: &Context, key: &[u8]) -> Result<Target<M::Series>, u64> {
        let renewed = |target: &Target<_>| target.on(&mut self.pages);
        let hashes = &self.hashes;
        let hash_of = |context: &Context, key: &[u8]| target_hash(hashes, context, key);
        self.targets.get(context, key, hash_of, renewed, &mut self.young_bytes)
    }

    pub(crate) fn put_target(&mut self, hash: u64, context: Context, key: &[u8], target: Target<M::Series>) {
        let weight = |series: &Kept<M::Series>| M::weight(series) + Kept::<M::Series>::BYTES;
        let series = match &target {
            Target::One(series) => weight(series),
            Target::Many(group) => group.iter().map(weight).sum(),
            Target::Delta(target) => target.series.iter().map(weight).sum(),
        };
        let hash_of = |context: &Context, key: &[u8]| target_hash(&self.hashes, context, key);
        let bytes = self.targets.insert(hash, context, key, target, series, hash_of);
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

/// The hash of a key that stands alone.
fn alone(hashes: &FixedState) -> impl Fn(&Context, &[u8]) -> u64 {
    move |_, key| {
        let mut hasher = hashes.build_hasher();
        hasher.write(key);
        hasher.finish()
    }
}

#[inline]
fn target_hash(hashes: &FixedState, context: &Context, key: &[u8]) -> u64 {
    let mut hasher = hashes.build_hasher();
    context.iter().for_each(|id| hasher.write_u64(*id));
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

/// Slots in the order in which they were first asked for, and their keys in that order, too.
struct Generation<V> {
    /// Positions in `slots`, by hash.
    index: HashTable<u32>,
    /// None where a slot has become young again.
    slots: Vec<Option<Slot<V>>>,
    keys: Keys,
}

struct Slot<V> {
    context: Context,
    key: Place,
    /// What the slot and all that it alone keeps weigh, in bytes.
    bytes: u32,
    value: V,
}

/// Keys, one behind the other.
#[derive(Default)]
struct Keys {
    chunks: Vec<Vec<u8>>,
}

/// Where a key is: its chunk, where it begins there, and its length.
#[derive(Clone, Copy, Default)]
struct Place {
    chunk: u32,
    start: u32,
    bytes: u32,
}

/// How large a chunk of keys is, in bytes, where they are many.
const CHUNK_BYTES: usize = 64 << 10;
/// How large the first one is.
const CHUNK_BYTES_MIN: usize = 1 << 10;

impl Keys {
    fn push(&mut self, key: &[u8]) -> Place {
        let last = self.chunks.last().is_some_and(|chunk| chunk.capacity() - chunk.len() >= key.len());
        if !last {
            let doubled = self.chunks.last().map_or(CHUNK_BYTES_MIN, |chunk| 2 * chunk.capacity());
            self.chunks.push(Vec::with_capacity(doubled.min(CHUNK_BYTES).max(key.len())));
        }
        let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let chunk = number(self.chunks.len() - 1);
        let Some(keys) = self.chunks.last_mut() else { return Place::default() };
        let start = number(keys.len());
        keys.extend_from_slice(key);
        Place { chunk, start, bytes: number(key.len()) }
    }

    #[inline]
    fn get(&self, place: Place) -> &[u8] {
        let Place { chunk, start, bytes } = place;
        let keys = self.chunks.get(chunk as usize).and_then(|keys| keys.get(start as usize..)?.get(..bytes as usize));
        keys.unwrap_or_default()
    }
}

impl<V> Default for Generation<V> {
    fn default() -> Self {
        Self { index: HashTable::new(), slots: Vec::new(), keys: Keys::default() }
    }
}

impl<V> Generation<V> {
    fn len(&self) -> usize {
        self.index.len()
    }

    /// The value at a position, if it is under that key.
    #[inline]
    fn at(&self, position: usize, context: &Context, key: &[u8]) -> Option<&V> {
        let slot = self.slots.get(position)?.as_ref()?;
        (slot.context == *context && self.keys.get(slot.key) == key).then_some(&slot.value)
    }

    /// The position of a key.
    #[inline]
    fn find(&self, hash: u64, context: &Context, key: &[u8]) -> Option<usize> {
        let same = |position: &u32| self.at(*position as usize, context, key).is_some();
        self.index.find(hash, same).map(|position| *position as usize)
    }

    /// Puts a value under a key that is not there; `hash_of` is the hash of any.
    fn push(&mut self, hash: u64, key: &[u8], slot: Slot<V>, hash_of: impl Fn(&Context, &[u8]) -> u64) {
        let Ok(position) = u32::try_from(self.slots.len()) else { return };
        self.slots.push(Some(Slot { key: self.keys.push(key), ..slot }));
        let (slots, keys) = (&self.slots, &self.keys);
        self.index.insert_unique(hash, position, |position| {
            let slot = slots.get(*position as usize).and_then(Option::as_ref);
            slot.map_or(0, |slot| hash_of(&slot.context, keys.get(slot.key)))
        });
    }

    /// Takes a value out.
    fn take(&mut self, hash: u64, context: &Context, key: &[u8]) -> Option<Slot<V>> {
        let position = self.find(hash, context, key)?;
        self.index.find_entry(hash, |found| *found as usize == position).ok()?.remove();
        self.slots.get_mut(position)?.take()
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
        hash_of: impl Fn(&Context, &[u8]) -> u64,
        renewed: impl FnOnce(&V) -> V,
        charged: &mut usize,
    ) -> Result<V, u64> {
        if let Some(value) = self.young.at(self.next, context, key) {
            self.next += 1;
            return Ok(value.clone());
        }
        let hash = hash_of(context, key);
        if let Some(position) = self.young.find(hash, context, key) {
            self.next = position + 1;
            return self.young.at(position, context, key).cloned().ok_or(hash);
        }
        // It becomes young again.
        let slot = self.old.take(hash, context, key).ok_or(hash)?;
        let value = renewed(&slot.value);
        *charged += slot.bytes as usize;
        self.young.push(hash, key, Slot { value: value.clone(), ..slot }, hash_of);
        self.next = self.young.slots.len();
        Ok(value)
    }

    /// Puts a value under a key that is not there, with what the value itself weighs; returns what
    /// that weighs altogether.
    fn insert(
        &mut self,
        hash: u64,
        context: Context,
        key: &[u8],
        value: V,
        weight: usize,
        hash_of: impl Fn(&Context, &[u8]) -> u64,
    ) -> usize {
        // The slot, its position in the index with a byte of the index's own, and what it keeps.
        let bytes = size_of::<Option<Slot<V>>>() + size_of::<u32>() + 1 + key.len() + weight;
        let slot = Slot { context, key: Place::default(), bytes: u32::try_from(bytes).unwrap_or(u32::MAX), value };
        self.young.push(hash, key, slot, hash_of);
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever is asked for in whatever order, it is what was put under that very key, and is kept as long as it
        /// was used since the generation before the last.
        #[test]
        fn a_key_has_the_value_that_was_put_under_it(
            steps in prop::collection::vec((0_u64..3, prop::collection::vec(0_u8..3, 0..4), 0_u8..20), 0..200),
            long in 0_usize..3,
            collide: bool,
        ) {
            let hashes = FixedState::with_seed(0);
            let hash_of = |context: &Context, key: &[u8]| if collide { 7 } else { target_hash(&hashes, context, key) };
            let (mut table, mut charged, mut count) = (Table::default(), 0, 0_u32);
            let (mut young, mut old) = (std::collections::HashMap::new(), std::collections::HashMap::new());
            for (number, mut key, age) in steps {
                if age == 0 {
                    table.age();
                    old = std::mem::take(&mut young);
                }
                let context = [number, 0, 1];
                key.resize(key.len() + long * 500, 9);
                let known = young.get(&(number, key.clone())).or(old.get(&(number, key.clone()))).copied();
                match table.get(&context, &key, hash_of, |value: &u32| *value, &mut charged) {
                    Ok(value) => prop_assert_eq!(Some(value), known),
                    Err(hash) => {
                        prop_assert_eq!((known, hash), (None, hash_of(&context, &key)));
                        count += 1;
                        table.insert(hash, context, &key, count, 0, hash_of);
                    }
                }
                old.remove(&(number, key.clone()));
                young.insert((number, key), known.unwrap_or(count));
                prop_assert_eq!(table.len(), young.len() + old.len());
            }
        }
    }

    #[test]
    fn keys_of_any_length_come_back() {
        let mut keys = Keys::default();
        let lengths = [0, 10, 1_000, 1_100, CHUNK_BYTES, 2 * CHUNK_BYTES, 5];
        let places: Vec<_> = lengths.iter().zip(1..).map(|(bytes, number)| keys.push(&vec![number; *bytes])).collect();
        for ((bytes, number), place) in lengths.iter().zip(1..).zip(places) {
            assert_eq!(keys.get(place), vec![number; *bytes]);
        }
        assert!(keys.chunks.iter().all(|chunk| chunk.len() == chunk.capacity() || chunk.capacity() <= CHUNK_BYTES));
    }

    #[test]
    fn a_slot_of_a_series_fits_a_line_of_memory() {
        assert_eq!(size_of::<Option<Slot<Target<()>>>>(), 64);
    }
}
