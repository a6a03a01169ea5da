//! Meta's WhatsApp Business Cloud API: the client that sends, what its errors mean, and its webhooks.

pub mod client;
pub mod error;
pub mod history;
pub mod ladder;
pub mod management;
pub mod number;
pub mod signature;
pub mod webhook;
