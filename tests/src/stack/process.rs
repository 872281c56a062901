//! One process of the stack: started, watched, signalled, killed.

use std::fmt::Display;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

pub use nix::sys::signal::Signal;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use super::{detached, script};
use crate::wait::wait_until;

/// A process that ends with this value, or with the test program.
///
/// What it prints is kept in `NAME.out` and `NAME.err` of its folder; when a test fails, their
/// ends are shown.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    out: PathBuf,
    err: PathBuf,
}

impl Process {
    /// Starts `command` in `folder`.
    pub fn spawn(name: &str, folder: &Path, command: &Command) -> Self {
        let [out, err] = ["out", "err"].map(|kind| folder.join(format!("{name}.{kind}")));
        let append = |path| File::options().create(true).append(true).open(path).unwrap();
        let mut guard = Command::new(script("guard"));
        guard.arg(command.get_program()).args(command.get_args()).current_dir(folder);
        guard.envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
        let child = detached(&mut guard).stdout(append(&out)).stderr(append(&err)).spawn().unwrap();
        Self { name: name.to_owned(), child, out, err }
    }

    /// Waits until `condition` holds, or panics with the reason: the process ended, or `deadline` passed.
    #[track_caller]
    pub(super) fn ready<E: Display>(&mut self, deadline: Duration, mut condition: impl FnMut() -> Result<(), E>) {
        let what = format!("answer of {}", self.name);
        wait_until(deadline, &what, || {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "{} ended: {ended:?}", self.name);
            condition()
        });
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it `signal`: `SIGSTOP` and `SIGCONT` to hold it up, `SIGKILL` to crash it.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.id().try_into().unwrap()), signal).unwrap();
    }

    /// Kills it and sees it gone.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end (`SIGTERM`) and returns how it did.
    #[track_caller]
    pub fn terminate(&mut self, deadline: Duration) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.finish(deadline)
    }

    /// Waits for it to end by itself.
    #[track_caller]
    pub fn finish(&mut self, deadline: Duration) -> ExitStatus {
        let what = format!("end of {}", self.name);
        // Not `wait`, which would close the pipe that keeps the process alive.
        wait_until(deadline, &what, || self.child.try_wait().unwrap().ok_or("it runs"))
    }

    /// Has it not ended?
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// What it has written to its standard output.
    pub fn stdout(&self) -> String {
        read(&self.out)
    }

    /// What it has written to its standard error.
    pub fn stderr(&self) -> String {
        read(&self.err)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for path in [&self.out, &self.err] {
                let text = read(path);
                let lines: Vec<&str> = text.lines().collect();
                let tail = &lines[lines.len().saturating_sub(60)..];
                eprintln!("--- {}: {} lines\n{}", path.display(), lines.len(), tail.join("\n"));
            }
        }
        self.kill();
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}
