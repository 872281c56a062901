//! The tables of a worker as all its partitions see them: read elsewhere, put here, taken between batches.

use std::sync::Arc;

use parking_lot::RwLock;

use super::geo::{Geo, GeoError};
use super::lookup::{Lookup, LookupError};
use crate::config::Config;

/// A file of the configuration, and what it is read as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Where the file is.
    pub path: String,
    /// What it is read as.
    pub kind: SourceKind,
}

/// What a file is read as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceKind {
    /// CSV or JSON, looked up in that column.
    Lookup(Option<String>),
    /// MaxMind's format.
    Geo,
}

/// A file as it was read.
#[derive(Debug)]
pub enum Table {
    /// Rows by their key.
    Lookup(Lookup),
    /// What is known of addresses.
    Geo(Geo),
}

/// A file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// It is no table.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// It is no MaxMind database.
    #[error(transparent)]
    Geo(#[from] GeoError),
}

impl Source {
    /// The files of a configuration: lookups in order, then city, then ASN.
    pub fn all(config: &Config) -> Vec<Self> {
        let lookups = config.lookup.iter().map(|lookup| Self {
            path: lookup.file.get_ref().clone(),
            kind: SourceKind::Lookup(lookup.column.as_ref().map(|column| column.get_ref().clone())),
        });
        let databases = [&config.geoip.city, &config.geoip.asn].into_iter().flatten();
        lookups.chain(databases.map(|path| Self { path: path.get_ref().clone(), kind: SourceKind::Geo })).collect()
    }

    /// Reads the file's bytes.
    ///
    /// # Errors
    /// They are not what the configuration says.
    pub fn read(&self, bytes: Vec<u8>) -> Result<Table, TableError> {
        Ok(match &self.kind {
            SourceKind::Lookup(column) => Table::Lookup(Lookup::read(&bytes, column.as_deref())?),
            SourceKind::Geo => Table::Geo(Geo::read(bytes)?),
        })
    }
}

/// The tables at one moment, in the order of [`Source::all`].
pub type Tables = Vec<Option<Arc<Table>>>;

/// The tables of a worker. What is put here is seen from each partition's next batch on.
#[derive(Debug, Clone, Default)]
pub struct SharedTables(Arc<RwLock<Arc<Tables>>>);

impl SharedTables {
    /// The tables now.
    pub fn now(&self) -> Arc<Tables> {
        Arc::clone(&self.0.read())
    }

    /// Whether nobody else has them any more.
    pub fn is_last(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }

    /// Puts the table of one source; the others stay.
    pub fn put(&self, source: usize, table: Table) {
        let mut tables = self.0.write();
        let mut changed = Tables::clone(&tables);
        if changed.len() <= source {
            changed.resize(source + 1, None);
        }
        if let Some(slot) = changed.get_mut(source) {
            *slot = Some(Arc::new(table));
        }
        *tables = Arc::new(changed);
    }
}
