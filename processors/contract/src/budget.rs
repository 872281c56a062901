//! Bytes of what is under way, over the whole process.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The limit of what is under way, shared by all workers of a process.
///
/// It does not refuse: the runtime asks [`Budget::spent`] and stops fetching (invariant 5).
#[derive(Clone, Debug)]
pub struct Budget(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limit_bytes: usize,
    used_bytes: AtomicUsize,
}

/// How short memory is, for processors that keep things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// There is enough.
    Plenty,
    /// So much is spent that fetching, once paused, does not resume: let go of what can be let go.
    Short,
}

/// Some bytes of the budget; given back when dropped.
#[derive(Debug)]
pub struct Charge {
    budget: Budget,
    bytes: usize,
}

impl Budget {
    /// A budget of that many bytes.
    pub fn new(limit_bytes: usize) -> Self {
        Self(Arc::new(Shared { limit_bytes, used_bytes: AtomicUsize::new(0) }))
    }

    /// The limit, in bytes.
    pub fn limit_bytes(&self) -> usize {
        self.0.limit_bytes
    }

    /// What is under way, in bytes.
    pub fn used_bytes(&self) -> usize {
        self.0.used_bytes.load(Ordering::Relaxed)
    }

    /// Whether everything is spent: fetching pauses.
    pub fn spent(&self) -> bool {
        self.used_bytes() >= self.0.limit_bytes
    }

    /// Whether so little is used, half of it, that fetching resumes.
    pub fn low(&self) -> bool {
        self.used_bytes() <= self.0.limit_bytes / 2
    }

    /// How short memory is.
    pub fn memory(&self) -> Memory {
        if self.low() { Memory::Plenty } else { Memory::Short }
    }

    /// Takes that many bytes.
    pub fn charge(&self, bytes: usize) -> Charge {
        self.0.used_bytes.fetch_add(bytes, Ordering::Relaxed);
        Charge { budget: self.clone(), bytes }
    }
}

impl Charge {
    /// How much it is, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Makes it that many bytes.
    pub fn resize(&mut self, bytes: usize) {
        if bytes >= self.bytes {
            self.budget.0.used_bytes.fetch_add(bytes - self.bytes, Ordering::Relaxed);
        } else {
            self.budget.0.used_bytes.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.resize(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_charged_is_given_back() {
        let budget = Budget::new(100);
        let mut charge = budget.charge(60);
        charge.resize(100);
        assert!(budget.spent() && !budget.low());
        assert_eq!(budget.memory(), Memory::Short);
        charge.resize(50);
        assert!(!budget.spent() && budget.low());
        drop(charge);
        assert_eq!(budget.used_bytes(), 0);
    }
}
