//! The lines of an audience that planning has left out: reading them back from the bucket, and telling from a line's
//! reason what kind of fault it has. Who is left out later, when it is their turn, is [`crate::safety`]'s.

use crate::blob::audience::UnreadableList;
use crate::blob::{Bucket, key};
use crate::campaign::Campaign;
use crate::campaign::audience::Skipped;

/// The campaign's skipped lines from place `from` (from 0) on, at most `most`, in the order of the audience.
///
/// # Errors
/// [`UnreadableList`].
pub async fn lines(
    bucket: &Bucket,
    campaign: &Campaign,
    from: u32,
    most: usize,
) -> Result<Vec<Skipped>, UnreadableList> {
    let key = |part| key::skipped(campaign.workspace, campaign.id, part);
    bucket.rows_from(key, campaign.skipped, from, most).await
}

/// What kind of fault a line has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault<'a> {
    /// It has no phone number that exists.
    NotANumber,
    /// Its number stood in the audience before.
    Duplicate,
    /// Its message needs a variable that it does not give.
    MissingVariable(&'a str),
    /// Anything else: the line is not well formed, or its message too long.
    Other,
}

impl<'a> Fault<'a> {
    /// The fault that planning has put into words.
    #[must_use]
    pub fn of(reason: &'a str) -> Self {
        let variable = reason.strip_prefix("the variable ").and_then(|rest| rest.strip_suffix(" is missing"));
        match variable {
            Some(variable) => Self::MissingVariable(variable),
            None if reason == "the number is in the audience already" => Self::Duplicate,
            None if reason.contains("number") => Self::NotANumber,
            None => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::render::Unfilled;
    use crate::phone::PhoneNumber;

    #[test]
    fn the_fault_is_told_from_the_words_that_planning_uses() {
        for number in ["", "12", "hello", "+60 1", "+999999999999999", "+1234567890123456789"] {
            let reason = number.parse::<PhoneNumber>().unwrap_err().to_string();
            assert_eq!(Fault::of(&reason), Fault::NotANumber, "{reason}");
        }
        let missing = Unfilled::MissingVariable("first_name".to_owned()).to_string();
        assert_eq!(Fault::of(&missing), Fault::MissingVariable("first_name"));
        assert_eq!(Fault::of("the number is in the audience already"), Fault::Duplicate);
        for reason in [
            Unfilled::TooLong { length: 5_000, limit: 4_096 }.to_string(),
            "the line has 5 columns, the header 3".to_owned(),
            "the line is not well-formed CSV".to_owned(),
        ] {
            assert_eq!(Fault::of(&reason), Fault::Other, "{reason}");
        }
    }
}
