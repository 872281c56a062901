//! What can go wrong in the system that the load speaks of.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::catalog::Layer;

/// Something that breaks for a while and moves its metrics over their threshold.
///
/// It strikes every third instance of the services concerned, the first one always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Incident {
    /// `device_battery_percent` at or below 20.
    Battery,
    /// `device_connection_up` at 0, `device_delivery_delay_seconds` above 5.
    Connection,
    /// `stream_delay_seconds` above 1.
    StreamDelay,
    /// More than 5 % of `recordings_total` have `outcome="failed"`.
    Recording,
    /// `storage_use_ratio` above 0.8.
    Storage,
    /// 95th percentile of `api_request_duration_seconds` above 3.
    Api,
    /// `db_pool_use_ratio` above 0.9.
    DbPool,
    /// `event_delay_seconds` above 300.
    EventDelay,
    /// `etl_jobs_total{outcome="failed"}` grows, `data_consistency_ratio` below 0.96.
    Etl,
    /// `report_delay_seconds` above 86,400.
    Report,
    /// 95th percentile of `page_load_duration_seconds` above 10.
    Page,
    /// `sessions_active` above 100.
    Sessions,
    /// `process_cpu_utilization_ratio` above 0.9.
    Cpu,
}

impl Incident {
    /// Every incident, in the order of the layers.
    #[must_use]
    pub const fn all() -> &'static [Self] {
        &[
            Self::Battery,
            Self::Connection,
            Self::StreamDelay,
            Self::Recording,
            Self::Storage,
            Self::Api,
            Self::DbPool,
            Self::EventDelay,
            Self::Etl,
            Self::Report,
            Self::Page,
            Self::Sessions,
            Self::Cpu,
        ]
    }

    /// The name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Battery => "battery",
            Self::Connection => "connection",
            Self::StreamDelay => "stream-delay",
            Self::Recording => "recording",
            Self::Storage => "storage",
            Self::Api => "api",
            Self::DbPool => "db-pool",
            Self::EventDelay => "event-delay",
            Self::Etl => "etl",
            Self::Report => "report",
            Self::Page => "page",
            Self::Sessions => "sessions",
            Self::Cpu => "cpu",
        }
    }

    /// What crosses which threshold, for help texts.
    #[must_use]
    pub const fn help(self) -> &'static str {
        match self {
            Self::Battery => "device batteries at or below 20 %",
            Self::Connection => "devices lose their connection",
            Self::StreamDelay => "streams more than 1 s late",
            Self::Recording => "more than 5 % of recordings fail",
            Self::Storage => "storage more than 80 % full",
            Self::Api => "API requests take longer than 3 s",
            Self::DbPool => "more than 90 % of database connections in use",
            Self::EventDelay => "events more than 5 min late",
            Self::Etl => "ETL jobs fail",
            Self::Report => "reports more than 24 h late",
            Self::Page => "pages take longer than 10 s",
            Self::Sessions => "more than 100 users at once",
            Self::Cpu => "CPU above 90 %",
        }
    }

    /// Where spans fail and logs complain while it lasts.
    pub(crate) const fn layer(self) -> Layer {
        match self {
            Self::Battery | Self::Connection => Layer::Wearable,
            Self::StreamDelay | Self::Recording | Self::Storage => Layer::Delivery,
            Self::Api | Self::DbPool | Self::EventDelay | Self::Cpu => Layer::Business,
            Self::Etl | Self::Report => Layer::Data,
            Self::Page | Self::Sessions => Layer::Analytics,
        }
    }
}

impl fmt::Display for Incident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that no incident has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no incident is called {name:?}")]
pub struct UnknownIncident {
    /// What was asked for.
    pub name: String,
}

impl FromStr for Incident {
    type Err = UnknownIncident;

    fn from_str(name: &str) -> Result<Self, UnknownIncident> {
        let found = Self::all().iter().find(|incident| incident.name() == name);
        found.copied().ok_or_else(|| UnknownIncident { name: name.to_owned() })
    }
}

/// An incident with its time, counted from the generator's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Occurrence {
    /// What goes wrong.
    pub incident: Incident,
    /// When it begins, after the generator's start.
    pub after: Duration,
    /// How long it lasts.
    pub lasts: Duration,
}

impl From<Incident> for Occurrence {
    /// After a minute, for ten: long enough for an alert that waits five.
    fn from(incident: Incident) -> Self {
        Self { incident, after: Duration::from_secs(60), lasts: Duration::from_secs(600) }
    }
}
