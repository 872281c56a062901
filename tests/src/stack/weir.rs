//! The program under test.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use super::Process;

/// The binary, built with the profile of the tests.
static BINARY: LazyLock<PathBuf> = LazyLock::new(|| {
    let mut build = Command::new(env!("CARGO"));
    build.current_dir(env!("CARGO_MANIFEST_DIR")).args(["build", "--quiet", "--workspace", "--bin", "weir"]);
    if !cfg!(debug_assertions) {
        build.arg("--release");
    }
    assert!(build.status().unwrap().success(), "weir does not build");
    // This program is PROFILE/deps/NAME-HASH.
    env::current_exe().unwrap().ancestors().nth(2).unwrap().join("weir")
});

/// Where the program is, for a test that does not start it itself.
pub fn weir_binary() -> &'static Path {
    &BINARY
}

/// Starts `weir ARGS` in `folder`, where it finds its `topology.toml`.
///
/// A command that ends by itself is waited for with [`Process::finish`]; what it printed is its
/// [`Process::stdout`].
pub fn weir(folder: &Path, args: &[&str]) -> Process {
    Process::spawn("weir", folder, Command::new(&*BINARY).args(args))
}
