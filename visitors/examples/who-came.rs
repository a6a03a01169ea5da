//! Tells people from machines in a list of user agents, one a line, such as a web server's log gives:
//!
//! ```text
//! cut -d'"' -f6 access.log | cargo run -p visitors --example who-came
//! ```
//!
//! Prints a line for each, `person` or the reason why not before it, then how many there were of each on standard error.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a tool for the command line")]

use std::collections::BTreeMap;
use std::io::{BufRead, Write};

use visitors::verdict::{Request, Verdict, of_click};

fn main() -> std::io::Result<()> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let who = match of_click(&Request { user_agent: Some(&line), ..Request::default() }) {
            Verdict::Person(_) => "person",
            Verdict::Machine { reason } => reason.name(),
        };
        *counts.entry(who).or_default() += 1;
        writeln!(out, "{who}\t{line}")?;
    }
    out.flush()?;
    for (who, count) in counts {
        eprintln!("{count:>8} {who}");
    }
    Ok(())
}
