//! What two or more of Thirdtick's functions need: the domain's types and rules, and one module per outside world.
//!
//! Rules (`attempt`, `attribution`, `campaign`, `safety`, `local_time`, `region`, `price`, `throttle`, `link`, `rollup`,
//! `journey`, `health`) are plain functions over plain types: no AWS types, no clock of their own. The outside worlds are
//! `store` (DynamoDB), `queue` (SQS), `blob` (S3), `secrets`, `meta` (the Cloud API), `outbound` (addresses that users name)
//! and `http` (what our own API has in common).

pub mod account;
pub mod activity;
pub mod archive;
pub mod attempt;
pub mod attribution;
pub mod audit;
pub mod aws;
pub mod blob;
pub mod campaign;
pub mod collected;
pub mod config;
pub mod consent;
pub mod contact;
pub mod conversation;
pub mod erasure;
pub mod export;
pub mod health;
pub mod http;
pub mod id;
pub mod import;
pub mod job;
pub mod journey;
pub mod link;
pub mod local_time;
pub mod media;
pub mod meta;
pub mod outbound;
pub mod phone;
pub mod preflight;
pub mod price;
pub mod published;
pub mod queue;
pub mod region;
pub mod retention;
pub mod rollup;
pub mod safety;
pub mod secrets;
pub mod sheet;
pub mod skipped;
pub mod store;
pub mod subscription;
pub mod telemetry;
pub mod template;
pub mod throttle;
pub mod time;
pub mod told;
