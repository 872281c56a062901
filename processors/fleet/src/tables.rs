//! Files that logs workers look things up in: read at the start, and again whenever they change.

use std::io::Read;
use std::time::{Duration, SystemTime};
use std::{fs, io, thread};

use anyhow::Context;
use weir_config::Checker;
use weir_logs::config::Config;
use weir_logs::{Instruments, SharedTables, Source, Table};

/// How often files are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// The largest file, in bytes: GeoLite2 City has 60 MiB.
const FILE_BYTES_MAX: u64 = 512 << 20;

/// What tells that a file was written: its time, and its length.
type Stamp = (Option<SystemTime>, u64);

/// A file that is looked at.
struct Watched {
    place: usize,
    source: Source,
    /// What it was when it was read.
    read: Option<Stamp>,
    /// What it was at the look before.
    seen: Option<Stamp>,
}

/// Reports files that are not there, or not what they should be.
pub fn check(config: &Config, at: &mut Checker<'_>) {
    let lookups = config.lookup.iter().enumerate();
    let lookups = lookups.map(|(index, lookup)| (format!("lookup[{index}].file"), &lookup.file));
    let city = config.geoip.city.iter().map(|file| ("geoip.city".to_owned(), file));
    let asn = config.geoip.asn.iter().map(|file| ("geoip.asn".to_owned(), file));
    for (source, (path, written)) in Source::all(config).iter().zip(lookups.chain(city).chain(asn)) {
        if let Err(error) = read(source) {
            at.problem(written.span(), &path, crate::chain(error.as_ref()));
        }
    }
}

/// Reads the files of a worker, and keeps them up to date as long as somebody has the tables.
///
/// # Errors
/// A file cannot be read, or the system has no thread left.
pub fn keep(worker: &str, config: &Config, instruments: Instruments) -> anyhow::Result<SharedTables> {
    let tables = SharedTables::default();
    let mut files = Vec::new();
    for (place, source) in Source::all(config).into_iter().enumerate() {
        let stamp = stamp(&source).ok();
        let table = read(&source)?;
        tables.put(place, table);
        instruments.table_read(true);
        files.push(Watched { place, source, read: stamp, seen: stamp });
    }
    if !files.is_empty() {
        let watched = tables.clone();
        let name = worker.to_owned();
        let watch = move || {
            // The last one who has them is this thread.
            while !watched.is_last() {
                thread::sleep(LOOK);
                files.iter_mut().for_each(|file| file.look(&name, &watched, &instruments));
            }
        };
        thread::Builder::new().name(format!("{worker}-tables")).spawn(watch).context("could not start a thread")?;
    }
    Ok(tables)
}

impl Watched {
    /// Reads the file again if it has changed, and has not since the look before: then whoever writes it is done. One
    /// that is broken leaves the table that there is.
    fn look(&mut self, worker: &str, tables: &SharedTables, instruments: &Instruments) {
        // A file that is being replaced may be away for a moment.
        let Ok(now) = stamp(&self.source) else { return };
        let rests = self.seen.replace(now) == Some(now);
        if self.read == Some(now) || !rests {
            return;
        }
        let read = read(&self.source);
        // Written while it was read: what was read may be half of it, and a later look reads it again.
        if stamp(&self.source).ok() != Some(now) {
            return;
        }
        self.read = Some(now);
        instruments.table_read(read.is_ok());
        let file = &self.source.path;
        match read {
            Ok(table) => {
                tables.put(self.place, table);
                tracing::info!(worker, %file, "table read again");
            }
            Err(error) => {
                let error = crate::chain(error.as_ref());
                tracing::error!(worker, %file, %error, "table cannot be used, the one before stays");
            }
        }
    }
}

fn stamp(source: &Source) -> io::Result<Stamp> {
    let metadata = fs::metadata(&source.path)?;
    Ok((metadata.modified().ok(), metadata.len()))
}

fn read(source: &Source) -> anyhow::Result<Table> {
    let path = &source.path;
    let mut bytes = Vec::new();
    let file = fs::File::open(path).with_context(|| format!("could not open {path}"))?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).with_context(|| format!("could not read {path}"))?;
    let fits = u64::try_from(bytes.len()).is_ok_and(|len| len <= FILE_BYTES_MAX);
    anyhow::ensure!(fits, "{path} is larger than {FILE_BYTES_MAX} bytes");
    source.read(bytes).with_context(|| format!("could not use {path}"))
}

#[cfg(test)]
mod tests;
