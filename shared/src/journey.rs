//! A person's way with the business, computed from what is stored whenever somebody asks: nothing here is written, so
//! events that come late, twice or in another order cannot leave it wrong (ADR 12). What an event means for it is in
//! [`trace`], visits in [`sessions`], who owes whom an answer in [`talk`], how long answers take in [`responses`].

pub mod responses;
pub mod sessions;
pub mod talk;
pub mod trace;
