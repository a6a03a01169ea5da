//! The Graph API as the Cloud API's clients see it: nodes, edges, validation and error bodies.

pub(crate) mod control;
pub(crate) mod error;
pub(crate) mod fields;
pub(crate) mod history;
pub(crate) mod interactive;
pub(crate) mod media;
pub(crate) mod nodes;
pub(crate) mod paging;
pub(crate) mod request;
pub(crate) mod router;
pub(crate) mod send;
pub(crate) mod template;
pub(crate) mod templates;
