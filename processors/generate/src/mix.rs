//! Hashes and dice that give the same bytes on every machine and in every version.

/// One round of SplitMix64: a bijection that spreads every input bit.
pub(crate) const fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Hash of a few numbers; their order matters.
pub(crate) fn hash(parts: &[u64]) -> u64 {
    parts.iter().fold(0, |state, part| mix(state ^ part))
}

/// Hash of text under a seed.
pub(crate) fn hash_text(seed: u64, text: &str) -> u64 {
    text.bytes().fold(mix(seed), |state, byte| mix(state ^ u64::from(byte)))
}

/// Scales a hash to `0..bound`.
pub(crate) fn scale(hash: u64, bound: u32) -> u32 {
    // The product of two 32-bit numbers, shifted back, is below `bound`.
    u32::try_from(((hash >> 32) * u64::from(bound)) >> 32).unwrap_or(0)
}

/// A stream of random numbers that its seed decides.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(1);
        mix(self.0)
    }

    /// A number in `0..bound`.
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        scale(self.roll(), bound)
    }

    /// One of `choices`; nothing if there are none.
    pub(crate) fn pick_from<T: Copy>(&mut self, choices: &[T]) -> Option<T> {
        let bound = u32::try_from(choices.len()).unwrap_or(u32::MAX);
        let at = usize::try_from(self.below(bound)).ok()?;
        choices.get(at).copied()
    }

    /// One of `choices`, which is not empty; the default otherwise.
    pub(crate) fn pick<T: Copy + Default>(&mut self, choices: &[T]) -> T {
        self.pick_from(choices).unwrap_or_default()
    }
}
