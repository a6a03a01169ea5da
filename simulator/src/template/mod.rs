//! Message templates: what one consists of, what Meta checks before it takes one and when one is sent, and the account's
//! catalogue of them. Paths and bodies of the requests are in `graph`.

mod catalogue;
mod content;
mod held;
mod model;
mod send;
mod shape;

pub(crate) use catalogue::{Catalogue, Filter, NewTemplate};
pub(crate) use held::{FIELDS, Held};
pub use model::{ParameterFormat, Template, TemplateCategory, TemplatePolicy, TemplateStatus};
pub(crate) use send::{TemplateRefusal, fill};
