//! Whether a database that was just fetched is fit for use: for whoever fetches it, before it is put in place.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use maxminddb::MaxMindDbError;

use super::{Database, Places};

/// What a database is to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Cities or countries.
    City,
    /// Autonomous systems.
    Network,
}

/// What is known of an address beforehand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectation {
    /// The address.
    pub address: IpAddr,
    /// A country (`GB`) or an autonomous system (`AS1221`).
    pub answer: String,
}

/// Why a database must not be put in place.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// Parts of the file contradict one another.
    #[error("the database does not hold together")]
    Broken(#[source] MaxMindDbError),
    /// It is another one than was asked for.
    #[error("it is a {found}, not a database of {wanted}")]
    Other {
        /// What it says it is.
        found: String,
        /// What it should be.
        wanted: &'static str,
    },
    /// It was built too long ago.
    #[error("it was built {days} days ago")]
    Old {
        /// Days since it was built.
        days: u64,
    },
    /// It says something else than is known.
    #[error("{address} should be {expected} and is {found}")]
    Wrong {
        /// The address.
        address: IpAddr,
        /// What is known.
        expected: String,
        /// What it says; `unknown` if nothing.
        found: String,
    },
}

/// Checks a database at this time. `max_age` is the age beyond which it is too old. The check is as strict as the format: the
/// files of ip-location-db, which are read all the same, do not pass, for they leave out the description that it demands.
///
/// # Errors
/// With the first thing that speaks against it.
pub fn check(
    database: Database,
    kind: Kind,
    expectations: &[Expectation],
    max_age: Duration,
    now: SystemTime,
) -> Result<(), Unfit> {
    is_of_kind(&database.metadata().database_type, kind)?;
    let built = database.metadata().build_time().map_err(Unfit::Broken)?;
    let age = now.duration_since(built).unwrap_or_default();
    if age > max_age {
        return Err(Unfit::Old { days: age.as_secs() / 86_400 });
    }
    database.verify().map_err(Unfit::Broken)?;
    let places = match kind {
        Kind::City => Places::new(vec![database], Vec::new()),
        Kind::Network => Places::new(Vec::new(), vec![database]),
    };
    expectations.iter().try_for_each(|expectation| meets(&places, kind, expectation))
}

fn is_of_kind(database_type: &str, kind: Kind) -> Result<(), Unfit> {
    let lower = database_type.to_ascii_lowercase();
    let (words, wanted): (&[&str], _) = match kind {
        Kind::City => (&["city", "country", "enterprise"], "cities"),
        Kind::Network => (&["asn", "isp"], "autonomous systems"),
    };
    // `geo-whois-asn-country` is one of countries.
    let is_network = lower.contains("asn") && !lower.contains("country");
    let fits = words.iter().any(|word| lower.contains(word)) && (kind == Kind::Network || !is_network);
    fits.then_some(()).ok_or_else(|| Unfit::Other { found: database_type.to_owned(), wanted })
}

fn meets(places: &Places, kind: Kind, expectation: &Expectation) -> Result<(), Unfit> {
    let place = places.of(expectation.address);
    let found = match kind {
        Kind::City => place.country.map(str::to_owned),
        Kind::Network => place.asn.map(|asn| format!("AS{asn}")),
    };
    if found.as_deref() == Some(expectation.answer.as_str()) {
        return Ok(());
    }
    let found = found.unwrap_or_else(|| "unknown".to_owned());
    Err(Unfit::Wrong { address: expectation.address, expected: expectation.answer.clone(), found })
}
