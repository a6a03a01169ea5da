//! The embedded engines and the event drivers, through the AWS SDKs and over HTTP as the functions see them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    clippy::print_stdout,
    reason = "a test fails by panicking and prints what it measures"
)]

mod cold_start;
mod dynamodb;
mod flood;
mod freshness;
mod front;
mod http_gateway;
mod ingest_speed;
mod interruption;
mod persistence;
mod planning_speed;
mod rate;
mod redirect_speed;
mod s3;
mod scenarios;
mod sqs;
mod sqs_source;
mod stream_source;
mod support;
mod warehouse;
