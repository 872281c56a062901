//! Free ports that stay free until they are used.

use std::fs::{self, File};
use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

use super::stack_home;

/// How many ports [`free_ports`] gives.
const BLOCK: u16 = 32;
/// Below the range from which the kernel takes the ports of outgoing connections.
const FIRST: u16 = 12_000;
const LAST: u16 = 32_000;

/// The first of 32 neighbouring free ports of 127.0.0.1.
///
/// No other test gets them while this program runs: a file lock stands for each block.
pub fn free_ports() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let locks = stack_home().join("ports");
    fs::create_dir_all(&locks).unwrap();
    loop {
        let base = FIRST + BLOCK * NEXT.fetch_add(1, Ordering::Relaxed);
        assert!(base < LAST, "no free ports left");
        let lock = File::create(locks.join(base.to_string())).unwrap();
        if lock.try_lock().is_ok() && (base..base + BLOCK).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()) {
            std::mem::forget(lock); // held until the program ends
            return base;
        }
    }
}
