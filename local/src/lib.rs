//! The whole stack in one process: the engines that stand in for AWS's services, and the drivers that stand in for
//! what AWS does around a function.

pub mod drivers;
pub mod engines;
