//! `thirdtick`: the whole stack on one machine.

use std::process::ExitCode;

use clap::Parser;
use local::cli::{Cli, run};

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            console::Term::stderr().write_line(&format!("thirdtick: {error:#}")).ok();
            ExitCode::FAILURE
        }
    }
}
