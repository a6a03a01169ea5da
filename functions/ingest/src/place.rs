//! The country of an address, from a MaxMind city database if the operator has one. Not knowing is not an error.

use std::net::IpAddr;
use std::path::Path;

use maxminddb::{MaxMindDbError, Reader};

/// Looks countries up.
pub(crate) struct Places {
    cities: Option<Reader<Vec<u8>>>,
}

impl Places {
    /// Without a database: every country is unknown.
    pub(crate) const fn none() -> Self {
        Self { cities: None }
    }

    /// With the database at this path.
    pub(crate) fn open(path: &Path) -> Result<Self, MaxMindDbError> {
        Ok(Self { cities: Some(Reader::open_readfile(path)?) })
    }

    /// ISO 3166 alpha-2 of the address's country.
    pub(crate) fn country(&self, address: &str) -> Option<String> {
        let address: IpAddr = address.parse().ok()?;
        let found = self.cities.as_ref()?.lookup(address.to_canonical()).ok()?;
        let country = found.decode_path::<String>(&maxminddb::path!["country", "iso_code"]).ok()?;
        country.filter(|country| !country.is_empty())
    }
}
