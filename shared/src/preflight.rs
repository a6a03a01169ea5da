//! What would become of a campaign if it started now: who would get a message and who not and why ([`waterfall`]), when it
//! would be done ([`eta`]), and what stands in its way ([`findings`]). Arithmetic over what is known; nothing is changed by
//! looking, and every decision is made by the same code as when the messages leave.

pub mod eta;
pub mod findings;
pub mod waterfall;
