//! Checks that a database of addresses is fit for use, before it is put in place:
//!
//! ```text
//! cargo run -p visitors --example check-geoip -- city FILE 45 81.2.69.142=GB
//! cargo run -p visitors --example check-geoip -- asn FILE 45 1.128.0.5=AS1221
//! ```
//!
//! The number is the greatest age in days since the database was built. Prints what the file says of itself; ends with 1
//! and the reason on standard error when it is unfit.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a tool for the command line")]

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use visitors::place::freshness::{Expectation, Kind, check};
use visitors::place::{Database, Source};

const USAGE: &str = "usage: check-geoip city|asn FILE MAX-AGE-DAYS [ADDRESS=COUNTRY | ADDRESS=AS-NUMBER]...";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(told) => {
            println!("{told}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            let causes = std::iter::successors(error.source(), |cause| (*cause).source());
            let because: String = causes.map(|cause| format!(": {cause}")).collect();
            eprintln!("check-geoip: {error}{because}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<String, Box<dyn Error>> {
    let [kind, file, days, expectations @ ..] = arguments else { return Err(USAGE.into()) };
    let kind = match kind.as_str() {
        "city" => Kind::City,
        "asn" => Kind::Network,
        _ => return Err(USAGE.into()),
    };
    let max_age = Duration::from_secs(days.parse::<u64>()?.saturating_mul(86_400));
    let expectations = expectations.iter().map(|text| expectation(text)).collect::<Result<Vec<_>, _>>()?;

    let database = Database::open(Source { setting: "FILE", path: Path::new(file) })?;
    let metadata = database.metadata();
    let told = format!(
        "{}: IPv{}, {} nodes, built at {} (Unix seconds)",
        metadata.database_type, metadata.ip_version, metadata.node_count, metadata.build_epoch
    );
    check(database, kind, &expectations, max_age, SystemTime::now())?;
    Ok(told)
}

fn expectation(text: &str) -> Result<Expectation, Box<dyn Error>> {
    let (address, answer) = text.split_once('=').ok_or(USAGE)?;
    Ok(Expectation { address: address.parse()?, answer: answer.to_owned() })
}
