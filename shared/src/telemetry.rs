//! Structured logs: one JSON object a line on standard output, where Lambda picks them up.
//!
//! What may be logged: ids of ours, counts, durations, error codes. What may not: phone numbers, names, message
//! bodies, tokens, IP addresses, link codes, wamids (they contain the phone number). A click that was not queued is logged with
//! its user agent and place, for its line is all that is left of it ([`crate::link::lost`]).

use tracing_subscriber::EnvFilter;

/// Starts logging as JSON. `RUST_LOG` sets the level (default `info`). A second call changes nothing.
pub fn start() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    // An error means that a subscriber is already there (tests, or the local stack): then that one stays.
    let _ = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_env_filter(filter)
        .try_init();
}
