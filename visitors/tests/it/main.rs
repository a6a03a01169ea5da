//! The crate against collections of user agents and databases of addresses that others have made (`tests/data`).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod agents;
mod mmdb;
mod places;
mod properties;
