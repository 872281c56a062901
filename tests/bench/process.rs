//! What the kernel says of a process.

use std::fs;
use std::time::Duration;

/// What something cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    /// How long it took.
    pub wall: Duration,
    /// What the processors spent on it, in user and kernel mode.
    pub cpu: Duration,
    /// The most memory that it had resident, in bytes.
    pub peak_bytes: u64,
    /// What arrived: samples, or records of a drain.
    pub arrived: u64,
}

/// Clock ticks a second, which Linux shows to programs as 100 on every machine.
const TICKS: u64 = 100;

/// What the processors have spent on a process, all of its threads, the ended ones too.
pub(crate) fn cpu(id: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
    // The name, in parentheses, may hold anything; `utime` and `stime` are fields 14 and 15.
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let ticks: u64 = fields.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 1000 / TICKS)
}

/// The most memory that a process had resident, in bytes.
pub(crate) fn peak_bytes(id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().trim().parse::<u64>().unwrap() * 1024
}
