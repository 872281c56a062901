//! The tree is as `docs/architecture.md` says: who may depend on whom, which rooms a worker has, which words stand
//! where, and that documentation names what exists.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a step of a test that fails, fails the test; helpers are not marked as tests"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The workspace's crates by folder, each with what it depends on (not for tests alone).
fn crates() -> BTreeMap<String, BTreeSet<String>> {
    let workspace = read_toml(&root().join("Cargo.toml"));
    let members = workspace["workspace"]["members"].as_array().unwrap();
    let paths: BTreeMap<String, String> = workspace["workspace"]["dependencies"]
        .as_table()
        .unwrap()
        .iter()
        .filter_map(|(name, value)| Some((name.clone(), value.get("path")?.as_str()?.to_owned())))
        .collect();
    let depends = |folder: &str| {
        let manifest = read_toml(&root().join(folder).join("Cargo.toml"));
        let table = manifest.get("dependencies").and_then(toml::Value::as_table).cloned().unwrap_or_default();
        table.keys().map(|name| paths.get(name).unwrap_or(name).clone()).collect()
    };
    members.iter().map(|member| member.as_str().unwrap()).map(|folder| (folder.to_owned(), depends(folder))).collect()
}

fn read_toml(path: &Path) -> toml::Table {
    fs::read_to_string(path).unwrap().parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every file below a folder of the tree, with the path as documentation writes it.
fn files(folder: &str, ending: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            let name = entry.file_name().into_string().unwrap();
            if path.is_dir() && name != "target" && name != "corpus" {
                folders.push(path);
            } else if name.ends_with(ending) {
                let shown = path.strip_prefix(root()).unwrap().display().to_string();
                found.push((shown, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

/// What a crate may depend on in the workspace, in the order of the layers.
fn may_depend(from: &str, on: &str) -> bool {
    let layer = |folder: &str| match folder {
        "tests" => 6,
        "processors/fleet" => 5,
        "processors/runtime" => 4,
        "processors/kafka" => 3,
        "processors/contract" | "processors/series" | "processors/mask" | "processors/generate" => 1,
        "processors/config" => 0,
        folder if folder.starts_with("schemas/") => 0,
        _ => 2, // a worker
    };
    let worker = |folder: &str| layer(folder) == 2;
    match (from, on) {
        // They stand side by side: the runtime runs any worker, and the protocol serves any.
        ("processors/runtime" | "processors/kafka", on) if worker(on) => false,
        _ => layer(on) < layer(from),
    }
}

#[test]
fn dependencies_point_one_way() {
    let crates = crates();
    assert!(crates.len() >= 11, "{crates:?}");
    for (from, dependencies) in &crates {
        for on in dependencies.iter().filter(|on| crates.contains_key(*on)) {
            assert!(may_depend(from, on), "{from} may not depend on {on}");
        }
    }
}

#[test]
fn io_is_named_where_it_belongs() {
    let crates = crates();
    let who = |name: &str| -> Vec<_> {
        crates.iter().filter(|(_, on)| on.contains(name)).map(|(folder, _)| folder.as_str()).collect()
    };
    assert_eq!(who("rdkafka"), ["processors/kafka", "tests"], "only `kafka` speaks to Kafka");
    assert_eq!(who("reqwest").iter().filter(|folder| folder.starts_with("schemas/")).count(), 0);
    for pure in
        ["processors/contract", "processors/config", "processors/series", "processors/mask", "processors/generate"]
    {
        assert!(!crates[pure].contains("tokio"), "{pure} has no IO");
    }
    for (path, text) in files("processors/kafka/src", ".rs") {
        let real = path.contains("/real");
        let code: Vec<_> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        assert!(real || !code.iter().any(|line| line.contains("rdkafka::")), "{path} names rdkafka");
    }
}

#[test]
fn only_the_runtime_and_the_binary_read_a_clock_or_sleep() {
    let clocks = ["Instant::now", "SystemTime::now", "thread::sleep", "time::sleep", "sleep("];
    let may = ["processors/runtime/", "processors/fleet/", "processors/kafka/src/real"];
    let tests = |path: &str| path.contains("/tests") || path.contains("/benches/") || path.contains("/fuzz/");
    for (path, text) in files("processors", ".rs").into_iter().chain(files("schemas", ".rs")) {
        if may.iter().any(|may| path.starts_with(may)) || tests(&path) {
            continue;
        }
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let found = clocks
            .iter()
            .find(|clock| code.lines().any(|line| !line.trim_start().starts_with("//") && line.contains(*clock)));
        assert_eq!(found, None, "{path}");
    }
}

#[test]
fn workers_have_the_same_rooms() {
    let rooms = ["lib.rs", "config.rs", "process.rs", "deliver.rs", "error.rs", "instruments.rs"];
    let workers = ["processors/metrics", "processors/logs"];
    for worker in workers {
        for entry in fs::read_dir(root().join(worker).join("src")).unwrap().map(Result::unwrap) {
            let name = entry.file_name().into_string().unwrap();
            let room = if entry.path().is_dir() { format!("{name}.rs") } else { name };
            assert!(rooms.contains(&room.as_str()), "{worker}/src/{room} is no room");
        }
    }
}

#[test]
fn documentation_names_what_exists() {
    let mut pages = files("docs", ".md");
    pages.push(("README.md".to_owned(), fs::read_to_string(root().join("README.md")).unwrap()));
    let mut named = 0;
    for (page, text) in pages {
        for word in text.split('`').skip(1).step_by(2) {
            let path = word.split([' ', ':', '#']).next().unwrap().trim_end_matches(['/', '*']);
            let own = ["scripts/", "docs/", "processors/", "schemas/", "tests/", "deploy/"];
            if own.iter().any(|own| path.starts_with(own)) && !path.contains(['<', '{', '$']) {
                named += 1;
                assert!(root().join(path).exists(), "{page} names {path}, which does not exist");
            }
        }
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = target.split('#').next().unwrap();
            if !target.is_empty() && !target.contains("://") {
                named += 1;
                let folder = root().join(&page).parent().unwrap().to_owned();
                assert!(folder.join(target).exists(), "{page} links to {target}, which does not exist");
            }
        }
    }
    assert!(named > 20, "only {named} names were found: is the search broken?");
}

#[test]
fn files_are_no_longer_than_a_reader_bears() {
    for (path, text) in files("processors", ".rs").into_iter().chain(files("schemas", ".rs")) {
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let tests = path.ends_with("tests.rs") || path.contains("/tests/");
        assert!(tests || code.lines().count() <= 500, "{path} has {} lines", code.lines().count());
    }
}
