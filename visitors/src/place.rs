//! Where an address is, and whose network it is in, from databases in the MaxMind format that the operator fetches. Not
//! knowing is not an error: an address that is not found, or a record that cannot be read, has no place.

mod database;
pub mod freshness;
mod record;

use std::net::IpAddr;

pub use self::database::{Database, OpenError, Source};
use crate::verdict::Network;

/// What is known of an address. Made for counting, never for finding a person: cities, no coordinates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place<'a> {
    /// ISO 3166-1 alpha-2.
    pub country: Option<&'a str>,
    /// The first-level part of an ISO 3166-2 code, without the country: `ENG`.
    pub region: Option<&'a str>,
    /// The city's English name.
    pub city: Option<&'a str>,
    /// Within how many kilometres of the city the address is, in two cases of three (MaxMind's `accuracy_radius`).
    pub accuracy_km: Option<u16>,
    /// How far region and city can be believed.
    pub confidence: Confidence,
    /// The autonomous system that announces the address.
    pub asn: Option<u32>,
    /// The name of its organisation.
    pub organisation: Option<&'a str>,
}

/// How far a place can be believed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Confidence {
    /// As far as the database.
    #[default]
    Usual,
    /// The address is a relay's, of iCloud Private Relay or another: it stands for the visitor's country, at times for the
    /// wrong city.
    Relayed,
}

/// The databases that are asked. A family of files (one for IPv4, one for IPv6) is several databases: the first that knows
/// answers.
#[derive(Default)]
pub struct Places {
    cities: Vec<Database>,
    networks: Vec<Database>,
}

impl Places {
    /// Without a database: nothing is known of any address.
    #[must_use]
    pub const fn none() -> Self {
        Self { cities: Vec::new(), networks: Vec::new() }
    }

    /// With databases of cities (or countries) and of autonomous systems.
    #[must_use]
    pub const fn new(cities: Vec<Database>, networks: Vec<Database>) -> Self {
        Self { cities, networks }
    }

    /// Opens the files that there are settings for.
    ///
    /// # Errors
    /// If a file cannot be opened or is no such database, with the name of its setting.
    pub fn open(city: Option<Source<'_>>, network: Option<Source<'_>>) -> Result<Self, OpenError> {
        let open = |source: Option<Source<'_>>| source.map(Database::open).transpose();
        Ok(Self::new(open(city)?.into_iter().collect(), open(network)?.into_iter().collect()))
    }

    /// What is known of this address, in the words of the databases: nothing is copied.
    #[must_use]
    pub fn of(&self, address: IpAddr) -> Place<'_> {
        // An IPv4 address that came in an IPv6 one is not found in a database of IPv4.
        let address = address.to_canonical();
        let city = self.cities.iter().find_map(|database| database.city(address)).unwrap_or_default();
        let network = self.networks.iter().find_map(|database| database.network(address)).unwrap_or_default();
        let relayed = network.asn.is_some_and(|asn| Network::of(asn) == Network::Relay);
        Place {
            country: city.country,
            region: city.region,
            city: city.city,
            accuracy_km: city.accuracy_km,
            confidence: if relayed { Confidence::Relayed } else { Confidence::Usual },
            asn: network.asn,
            organisation: network.organisation,
        }
    }
}
