//! The simulator as its users see it: messages go in over HTTP, signed webhooks and clicks come out.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that meets one of them has failed"
)]

mod bench;
mod delivery;
mod durability;
mod graph;
mod history;
mod media;
mod operator;
mod people;
mod rate;
mod receiver;
mod templates;
