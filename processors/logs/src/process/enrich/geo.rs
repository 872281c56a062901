//! Where an address is, and whose, from MaxMind's databases.
//!
//! Format: <https://maxmind.github.io/MaxMind-DB>.

use std::net::IpAddr;

use maxminddb::Reader;
use serde::Deserialize;

use crate::process::value::Value;

/// A database that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GeoError {
    /// The bytes are no database.
    #[error("it is no MaxMind database")]
    Format(#[source] maxminddb::MaxMindDbError),
}

/// A database.
#[derive(Debug)]
pub struct Geo(Reader<Vec<u8>>);

/// What City, Country and ASN have of an address, as far as there are names for it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Entry<'a> {
    #[serde(borrow)]
    continent: Coded<'a>,
    country: Coded<'a>,
    city: Named<'a>,
    subdivisions: Vec<Coded<'a>>,
    location: Location,
    autonomous_system_number: Option<u32>,
    autonomous_system_organization: Option<&'a str>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Coded<'a> {
    code: Option<&'a str>,
    iso_code: Option<&'a str>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Named<'a> {
    #[serde(borrow)]
    names: Names<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Names<'a> {
    en: Option<&'a str>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Location {
    latitude: Option<f64>,
    longitude: Option<f64>,
}

impl Geo {
    /// Reads a database.
    ///
    /// # Errors
    /// The bytes are none.
    pub fn read(bytes: Vec<u8>) -> Result<Self, GeoError> {
        Reader::from_source(bytes).map(Self).map_err(GeoError::Format)
    }

    /// Adds what is known of an address.
    pub fn add(&self, address: IpAddr, out: &mut Vec<(&'static str, Value<'static>)>) {
        // A broken database says nothing, as one that does not know the address.
        let Some(entry) = self.0.lookup(address).ok().and_then(|found| found.decode::<Entry<'_>>().ok().flatten())
        else {
            return;
        };
        let region = entry.subdivisions.first().and_then(|region| region.iso_code);
        let region = region.zip(entry.country.iso_code).map(|(region, country)| format!("{country}-{region}"));
        let texts = [
            ("geo.continent.code", entry.continent.code.map(str::to_owned)),
            ("geo.country.iso_code", entry.country.iso_code.map(str::to_owned)),
            ("geo.region.iso_code", region),
            ("geo.locality.name", entry.city.names.en.map(str::to_owned)),
            ("as.organization.name", entry.autonomous_system_organization.map(str::to_owned)),
        ];
        out.extend(texts.into_iter().filter_map(|(name, text)| Some((name, Value::Text(text?.into())))));
        if let (Some(lat), Some(lon)) = (entry.location.latitude, entry.location.longitude) {
            out.extend([("geo.location.lat", Value::Double(lat)), ("geo.location.lon", Value::Double(lon))]);
        }
        if let Some(number) = entry.autonomous_system_number {
            out.push(("as.number", Value::Int(number.into())));
        }
    }
}

#[cfg(test)]
mod tests;
