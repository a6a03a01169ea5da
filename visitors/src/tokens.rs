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
    rows: &'static [R],
    automaton: Option<AhoCorasick>,
}

impl<R: Row> Tokens<R> {
    /// Prepares a table.
    pub(crate) fn new(rows: &'static [R], case: Case) -> Self {
        // Only a table of gigabytes is refused. Such a one would find nothing, as the tests would show.
        Self { rows, automaton: automaton(rows, case).ok() }
    }

    /// The first row of the table that holds for this agent, and where its literal ends.
    pub(crate) fn first<'a>(&self, agent: &'a str) -> Option<Found<'a, R>> {
        self.first_of(agent, |_| true)
    }

    /// As [`Self::first`], of those rows that are wanted.
    pub(crate) fn first_of<'a>(&self, agent: &'a str, wanted: impl Fn(&R) -> bool) -> Option<Found<'a, R>> {
        let mut best: Option<(usize, usize)> = None;
        for (index, start, end) in self.matches(agent) {
            let earlier = best.is_none_or(|(known, _)| index < known);
            if earlier && self.rows.get(index).is_some_and(|row| wanted(row) && row.counts(agent, start, end)) {
                best = Some((index, end));
            }
        }
        let (index, end) = best?;
        Some(Found { row: self.rows.get(index)?, rest: agent.get(end..).unwrap_or_default() })
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

/// A DFA would find them in 0.4 µs less per agent, and would take 5 ms more to build: a function that starts cold for one click
/// is the common case.
fn automaton<R: Row>(rows: &[R], case: Case) -> Result<AhoCorasick, BuildError> {
    AhoCorasick::builder()
        .ascii_case_insensitive(matches!(case, Case::Ignored))
        .kind(Some(AhoCorasickKind::ContiguousNFA))
        .build(rows.iter().map(Row::text))
}
