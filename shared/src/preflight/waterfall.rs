//! The way from an audience to the people who will get a message: how many are left out at each step.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::campaign::Campaign;
use crate::safety::Refusal;
use crate::skipped::Fault;

/// Everybody of an audience, each in exactly one place: all but `audience` adds up to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Waterfall {
    /// Lines as given.
    pub audience: u32,
    /// Lines without a phone number that exists.
    pub not_a_number: u32,
    /// Numbers that stood in the audience before.
    pub duplicates: u32,
    /// Lines that lack a variable of their message.
    pub missing_variables: u32,
    /// Lines with another fault.
    pub other_skips: u32,
    /// Left out on purpose, to measure the effect.
    pub held_out: u32,
    /// They do not want messages.
    pub opted_out: u32,
    /// They have not asked for messages, and the account requires it.
    pub no_opt_in: u32,
    /// They are no contacts, and the account blocks those.
    pub unknown_number: u32,
    /// Refused for what the message is, by the rule's code.
    pub rules: BTreeMap<String, u32>,
    /// They have got enough messages lately.
    pub frequency_capped: u32,
    /// They would get the message.
    pub reachable: u32,
}

/// What was found among the lines that planning has left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    not_a_number: u32,
    duplicates: u32,
    other: u32,
    missing: BTreeMap<String, Missing>,
}

/// A variable that lines lack.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// Lines without it.
    pub recipients: u32,
    /// The first of them, by number.
    pub lines: Vec<u64>,
}

/// Lines that are named for each missing variable.
const LINES_NAMED: usize = 20;

impl Faults {
    /// Takes in a line's number and reason.
    pub fn count(&mut self, line: u64, reason: &str) {
        match Fault::of(reason) {
            Fault::NotANumber => self.not_a_number += 1,
            Fault::Duplicate => self.duplicates += 1,
            Fault::Other => self.other += 1,
            Fault::MissingVariable(name) => {
                let missing = self.missing.entry(name.to_owned()).or_default();
                missing.recipients += 1;
                if missing.lines.len() < LINES_NAMED {
                    missing.lines.push(line);
                }
            }
        }
    }

    /// Lines looked at.
    #[must_use]
    pub fn lines(&self) -> u32 {
        self.not_a_number + self.duplicates + self.other + self.lack()
    }

    /// Variables that lines lack, by name.
    #[must_use]
    pub const fn missing(&self) -> &BTreeMap<String, Missing> {
        &self.missing
    }

    fn lack(&self) -> u32 {
        self.missing.values().map(|missing| missing.recipients).sum()
    }
}

/// What the rules say of the people who were looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdicts {
    refused: BTreeMap<&'static str, u32>,
    reachable: u32,
}

impl Verdicts {
    /// Takes in the verdict on one person.
    pub fn count(&mut self, verdict: Result<(), Refusal>) {
        match verdict {
            Ok(()) => self.reachable += 1,
            Err(refusal) => *self.refused.entry(refusal.code()).or_default() += 1,
        }
    }

    /// People looked at.
    #[must_use]
    pub fn people(&self) -> u32 {
        self.reachable + self.refused.values().sum::<u32>()
    }
}

/// The whole way. Where only a part was looked at, the rest is taken to be like it.
#[must_use]
pub fn waterfall(campaign: &Campaign, faults: &Faults, verdicts: &Verdicts) -> Waterfall {
    // What nobody has looked at ends in the last place.
    let skipped = scaled(&[faults.not_a_number, faults.duplicates, faults.lack(), faults.other], campaign.skipped);
    let mut parts: Vec<u32> = verdicts.refused.values().copied().collect();
    parts.push(verdicts.reachable);
    let people = scaled(&parts, campaign.planned());
    let mut refused: BTreeMap<String, u32> =
        verdicts.refused.keys().map(|code| (*code).to_owned()).zip(people.iter().copied()).collect();
    let mut take = |refusal: Refusal| refused.remove(refusal.code()).unwrap_or(0);
    Waterfall {
        audience: campaign.recipients,
        not_a_number: skipped[0],
        duplicates: skipped[1],
        missing_variables: skipped[2],
        other_skips: skipped[3],
        held_out: campaign.holdout,
        opted_out: take(Refusal::OptedOut),
        no_opt_in: take(Refusal::NoOptIn),
        unknown_number: take(Refusal::UnknownNumber),
        frequency_capped: take(Refusal::FrequencyCap { sent: 0, days: 0, limit: 0 }),
        rules: refused,
        reachable: people.last().copied().unwrap_or(0),
    }
}

/// The parts as shares of `total`: their sum is `total`, and each is off by less than one (largest remainder). With
/// nothing to go by all of it falls to the last part.
#[must_use]
pub fn scaled(parts: &[u32], total: u32) -> Vec<u32> {
    let whole: u64 = parts.iter().map(|part| u64::from(*part)).sum();
    if whole == 0 {
        let last = parts.len().saturating_sub(1);
        return (0..parts.len()).map(|at| if at == last { total } else { 0 }).collect();
    }
    let exact = |part: u32| u64::from(part) * u64::from(total);
    let mut shares: Vec<u64> = parts.iter().map(|part| exact(*part) / whole).collect();
    let mut by_remainder: Vec<usize> = (0..parts.len()).collect();
    by_remainder.sort_by_key(|at| std::cmp::Reverse(exact(parts[*at]) % whole));
    let missing = u64::from(total).saturating_sub(shares.iter().sum());
    for at in by_remainder.into_iter().take(usize::try_from(missing).unwrap_or(0)) {
        shares[at] += 1;
    }
    shares.into_iter().map(|share| u32::try_from(share).unwrap_or(u32::MAX)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::campaign::tests::campaign;

    fn sum(waterfall: &Waterfall) -> u32 {
        let Waterfall { audience: _, not_a_number, duplicates, missing_variables, other_skips, held_out, .. } =
            waterfall;
        let Waterfall { opted_out, no_opt_in, unknown_number, rules, frequency_capped, reachable, .. } = waterfall;
        [not_a_number, duplicates, missing_variables, other_skips, held_out, opted_out, no_opt_in, unknown_number]
            .into_iter()
            .chain([frequency_capped, reachable])
            .chain(rules.values())
            .sum()
    }

    #[test]
    fn each_person_is_where_they_are_left_out() {
        let campaign = Campaign { recipients: 10, skipped: 4, holdout: 1, ..campaign() };
        let mut faults = Faults::default();
        for (line, reason) in [
            (2, "the phone number is empty"),
            (3, "the number is in the audience already"),
            (5, "the variable city is missing"),
            (7, "the variable city is missing"),
        ] {
            faults.count(line, reason);
        }
        let mut verdicts = Verdicts::default();
        for verdict in [Ok(()), Ok(()), Err(Refusal::OptedOut), Err(Refusal::TooManyLinks { links: 9 }), Ok(())] {
            verdicts.count(verdict);
        }
        let found = waterfall(&campaign, &faults, &verdicts);
        let expected = Waterfall {
            audience: 10,
            not_a_number: 1,
            duplicates: 1,
            missing_variables: 2,
            held_out: 1,
            opted_out: 1,
            rules: [("too_many_links".to_owned(), 1)].into(),
            reachable: 3,
            ..Waterfall::default()
        };
        assert_eq!(found, expected);
        assert_eq!(faults.missing()["city"], Missing { recipients: 2, lines: vec![5, 7] });
    }

    #[test]
    fn shares_are_as_near_as_whole_people_can_be() {
        assert_eq!(scaled(&[1, 1, 1], 100), [34, 33, 33]);
        assert_eq!(scaled(&[999, 1], 1_000_000), [999_000, 1_000]);
        assert_eq!(scaled(&[0, 0], 7), [0, 7]);
        assert_eq!(scaled(&[3, 0, 4], 7), [3, 0, 4]);
    }

    proptest! {
        #[test]
        fn the_numbers_add_up_however_small_the_sample(
            planned in 0_u32..1_000_000, skipped in 0_u32..100_000, held_out in 0_u32..100_000,
            reasons in prop::collection::vec(0_usize..4, 0..40), people in prop::collection::vec(0_usize..6, 0..60),
        ) {
            const REASONS: [&str; 4] = [
                "the phone number is empty", "the number is in the audience already", "the variable a is missing",
                "the line is not well-formed CSV",
            ];
            let campaign = Campaign { recipients: planned + skipped + held_out, skipped, holdout: held_out, ..campaign() };
            let (mut faults, mut verdicts) = (Faults::default(), Verdicts::default());
            reasons.iter().zip(1..).for_each(|(reason, line)| faults.count(line, REASONS[*reason]));
            for person in people {
                verdicts.count(match person {
                    0 => Err(Refusal::OptedOut),
                    1 => Err(Refusal::NoOptIn),
                    2 => Err(Refusal::UnknownNumber),
                    3 => Err(Refusal::FrequencyCap { sent: 1, days: 1, limit: 1 }),
                    4 => Err(Refusal::TooLong { length: 5, limit: 4 }),
                    _ => Ok(()),
                });
            }
            let found = waterfall(&campaign, &faults, &verdicts);
            prop_assert_eq!(sum(&found), found.audience, "{:?}", found);
        }
    }
}
