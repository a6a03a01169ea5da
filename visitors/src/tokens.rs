//! Tables of literals that are searched for in one pass: what a user agent says is told by the first row of its table that
//! holds, whatever the order of the words in the agent.

use aho_corasick::{AhoCorasick, AhoCorasickKind, BuildError};

/// A row of a table: it knows what to look for, and whether what was found counts.
pub(crate) trait Row {
    /// The literal.
    fn text(&self) -> &'static str;

    /// Whether the literal counts where it stands: at `start..end` of `agent`.
    fn counts(&self, _agent: &str, _start: usize, _end: usize) -> bool {
        true
    }
}

/// Whether the case of letters matters.
#[derive(Clone, Copy)]
pub(crate) enum Case {
    /// The products that browsers name are always written the same way.
    Exact,
    /// Makers of crawlers write as they like.
    Ignored,
}

/// A table and the automaton that finds its rows.
pub(crate) struct Tokens<R: 'static> {
    rows: Vec<&'static R>,
    automaton: Option<AhoCorasick>,
}

impl<R: Row> Tokens<R> {
    /// Prepares a table.
    pub(crate) fn new(rows: impl Iterator<Item = &'static R>, case: Case) -> Self {
        let rows: Vec<_> = rows.collect();
        // Only a table beyond the automaton's limits (gigabytes) is refused; then the rows are searched for one by one.
        let automaton = automaton(&rows, case).ok();
        Self { rows, automaton }
    }

    /// The first row of the table that holds for this agent, and where its literal ends.
    pub(crate) fn first<'a>(&self, agent: &'a str) -> Option<Found<'a, R>> {
        let mut best: Option<(usize, usize)> = None;
        for (row, start, end) in self.matches(agent) {
            if best.is_none_or(|(known, _)| row < known)
                && self.rows.get(row).is_some_and(|it| it.counts(agent, start, end))
            {
                best = Some((row, end));
            }
        }
        let (row, end) = best?;
        Some(Found { row: self.rows.get(row)?, rest: agent.get(end..).unwrap_or_default() })
    }

    fn matches(&self, agent: &str) -> impl Iterator<Item = (usize, usize, usize)> {
        self.automaton
            .iter()
            .flat_map(move |automaton| automaton.find_overlapping_iter(agent))
            .map(|found| (found.pattern().as_usize(), found.start(), found.end()))
    }
}

/// A row that holds.
pub(crate) struct Found<'a, R: 'static> {
    /// The row.
    pub(crate) row: &'static R,
    /// What follows its literal.
    pub(crate) rest: &'a str,
}

fn automaton<R: Row>(rows: &[&'static R], case: Case) -> Result<AhoCorasick, BuildError> {
    AhoCorasick::builder()
        .ascii_case_insensitive(matches!(case, Case::Ignored))
        .kind(Some(AhoCorasickKind::DFA))
        .build(rows.iter().map(|row| row.text()))
}
