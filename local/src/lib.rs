//! The whole stack in one process: the engines that stand in for AWS's services, the drivers that stand in for what AWS
//! does around a function, and the very functions that Lambda runs.

pub mod api_client;
pub mod cli;
pub mod credentials;
pub mod demo;
pub mod drivers;
pub mod engines;
pub mod operator;
pub mod stack;
