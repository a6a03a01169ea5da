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

/// The embedded engines make and drop maps of small strings all day, and the C library's allocator took a quarter of the
/// processor's time for that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
