//! The services Weir works with, real ones, each started by the test that needs it.
//!
//! They come from `scripts/stack/* install`. An instance has its own folder and its own ports on
//! 127.0.0.1, is ready when `start` returns, and is killed when it is dropped. Nothing outlives the
//! test program, whatever ends it: every process hangs on a pipe held here (`scripts/stack/guard`).

mod collector;
mod kafka;
mod ports;
mod process;
mod prometheus;
mod weir;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

pub use collector::{Collector, telemetrygen};
pub use kafka::{Kafka, Listener, Record};
pub use ports::free_ports;
pub use process::{Process, Signal};
pub use prometheus::{Prometheus, PrometheusOptions};
pub use weir::{weir, weir_binary};

/// The program's temporary folder and the process that removes it once the program is gone.
static ROOT: LazyLock<(PathBuf, Child)> = LazyLock::new(|| {
    let root = tempfile::Builder::new().prefix("weir-tests-").tempdir().unwrap().keep();
    // What was killed at the same moment may still write: so, a few tries.
    let script = "cat; for _ in {1..50}; do rm -rf \"$0\" && break; sleep 0.2; done";
    let janitor = detached(Command::new("bash").args(["-c", script]).arg(&root))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    (root, janitor)
});

/// A new folder, which lasts as long as the test program.
pub fn folder(name: &str) -> PathBuf {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let folder = ROOT.0.join(format!("{name}-{}", COUNT.fetch_add(1, Ordering::Relaxed)));
    fs::create_dir(&folder).unwrap();
    folder
}

/// `command`, to learn of this program's end by the end of its standard input, and by nothing
/// else: not by the Ctrl-C that the terminal sends to a process group.
fn detached(command: &mut Command) -> &mut Command {
    use std::os::unix::process::CommandExt;
    command.stdin(Stdio::piped()).process_group(0)
}

/// The script `name` of `scripts/stack`.
fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/stack").join(name)
}

/// Where the stack is installed.
fn stack_home() -> PathBuf {
    std::env::var_os("STACK_HOME").map_or_else(
        || Path::new(&std::env::var_os("HOME").expect("HOME is set")).join(".cache/weir-stack"),
        PathBuf::from,
    )
}
