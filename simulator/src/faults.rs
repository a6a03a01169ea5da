//! Faults that tests switch on while the simulator runs: lost answers, slow answers, errors out of the blue.

use rand::Rng;
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};

use crate::identity;

/// The faults in force for send requests. An absent field is no fault; setting new faults replaces all old ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// Accept the message, then close the connection without an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drop_after_accept: Option<Trigger>,
    /// Close the connection without an answer and without accepting the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drop_before_accept: Option<Trigger>,
    /// Answer 500 (131000) without accepting the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_error: Option<Trigger>,
    /// Refuse the message with a given code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<InjectedError>,
    /// Answer late; the message is accepted at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay: Option<AnswerDelay>,
}

/// Which requests a fault hits.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// The next so many.
    Next(u32),
    /// Each with this probability (0 to 1).
    Share(f64),
}

/// A refusal.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InjectedError {
    /// Meta's error code.
    pub code: i64,
    /// Which requests.
    pub when: Trigger,
}

/// A late answer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerDelay {
    /// How late, in milliseconds.
    pub ms: u64,
    /// Which requests.
    pub when: Trigger,
}

/// What the faults do to one request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Mishap {
    pub(crate) drop_after_accept: bool,
    pub(crate) drop_before_accept: bool,
    pub(crate) error: Option<i64>,
    pub(crate) delay_ms: u64,
}

/// Faults and the random stream that draws their shares.
#[derive(Debug)]
pub(crate) struct FaultState {
    faults: Faults,
    rng: StdRng,
}

impl FaultState {
    pub(crate) fn new(seed: u64) -> Self {
        Self { faults: Faults::default(), rng: identity::stream(seed, &["faults"]) }
    }

    pub(crate) fn set(&mut self, faults: Faults) {
        self.faults = faults;
    }

    /// Decides about the next send request.
    pub(crate) fn draw(&mut self) -> Mishap {
        let Self { faults, rng } = self;
        let mut hit = |trigger: Option<&mut Trigger>| trigger.is_some_and(|trigger| trigger.fires(rng));
        let error = match (hit(faults.server_error.as_mut()), faults.error.as_mut()) {
            (true, _) => Some(131_000),
            (false, Some(injected)) => hit(Some(&mut injected.when)).then_some(injected.code),
            (false, None) => None,
        };
        let drop_before_accept = error.is_none() && hit(faults.drop_before_accept.as_mut());
        // A request that is not accepted does not use up a fault that strikes after acceptance.
        let accepts = error.is_none() && !drop_before_accept;
        let drop_after_accept = accepts && hit(faults.drop_after_accept.as_mut());
        let delay_ms = faults.delay.as_mut().map_or(0, |delay| if hit(Some(&mut delay.when)) { delay.ms } else { 0 });
        Mishap { drop_after_accept, drop_before_accept, error, delay_ms }
    }
}

impl Trigger {
    fn fires(&mut self, rng: &mut StdRng) -> bool {
        match self {
            Self::Next(0) => false,
            Self::Next(left) => {
                *left -= 1;
                true
            }
            Self::Share(share) => rng.random_bool(share.clamp(0.0, 1.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counted_fault_wears_off() {
        let mut state = FaultState::new(1);
        state.set(Faults { error: Some(InjectedError { code: 131_056, when: Trigger::Next(2) }), ..Faults::default() });
        let codes: Vec<_> = (0..3).map(|_| state.draw().error).collect();
        assert_eq!(codes, [Some(131_056), Some(131_056), None]);
    }

    #[test]
    fn faults_read_from_json() {
        let faults: Faults =
            serde_json::from_str(r#"{"drop_after_accept":{"next":3},"delay":{"ms":50,"when":{"share":0.5}}}"#)
                .expect("parses");
        assert_eq!(faults.drop_after_accept, Some(Trigger::Next(3)));
        assert_eq!(faults.delay, Some(AnswerDelay { ms: 50, when: Trigger::Share(0.5) }));
        assert!(serde_json::from_str::<Faults>(r#"{"dorp":{"next":3}}"#).is_err());
    }
}
