//! People's word for or against messages. It lies on the row of the number, so that the sender reads it for a page of
//! recipients with one call, and on that of the user id for those who hide their number. A word goes to every row that is
//! linked with the one it was given under: whoever links two rows takes the words of both to both before
//! ([`Core::share_words`](super)), and whoever writes a word reads with the same write what the row is linked with. So one
//! of the two always sees the other, and whoever is cut off does it again.

use std::collections::{BTreeSet, HashMap};

use super::rows::{AliasRow, StoredWord};
use crate::contact::Consent;
use crate::contact::alias::{Alias, Kind, Rank};
use crate::id::WorkspaceId;
use crate::store::expression::{Update, Updated};
use crate::store::{Consistency, Core, StoreError, attribute, keys, number, read, text};
use crate::time::UnixMillis;

/// For or against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    For,
    Against,
}

impl Direction {
    const fn attribute(self) -> &'static str {
        match self {
            Self::For => "opt_in",
            Self::Against => "opt_out",
        }
    }
}

impl Core {
    /// What the owners of these numbers have agreed to, by the digits as given. A number that is not among them is not
    /// known to us. Any form of a number finds its owner; one call for each 100.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn consents(
        &self,
        workspace: WorkspaceId,
        digits: &[&str],
    ) -> Result<HashMap<String, Consent>, StoreError> {
        let mut wanted: HashMap<String, Vec<&str>> = HashMap::new();
        for given in digits {
            wanted.entry(keys::phone_alias(workspace, given).pk).or_default().push(given);
        }
        let keys = wanted.keys().map(|pk| keys::Key::new(pk.clone(), keys::ALIAS)).collect();
        let mut consents = HashMap::new();
        // Strongly consistent: nobody may be written to whose no was answered a moment ago.
        for item in self.batch_get(keys, Consistency::Strong).await? {
            let pk = item.get("pk").and_then(|pk| pk.as_s().ok()).cloned().unwrap_or_default();
            let consent = Consent::from(read::<AliasRow>("alias", item)?);
            for given in wanted.get(&pk).into_iter().flatten() {
                consents.insert((*given).to_owned(), consent.clone());
            }
        }
        Ok(consents)
    }

    /// What was agreed to under this number or user id; `None` when it is not known to us. An e-mail address and an
    /// anonymous id have no part in this.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn consent_of(&self, workspace: WorkspaceId, alias: &Alias) -> Result<Option<Consent>, StoreError> {
        let row: Option<AliasRow> = self.get("alias", keys::alias(workspace, alias)).await?;
        Ok(row.map(Consent::from))
    }

    /// Notes that the owner of a number wants no messages. The latest no counts, in whatever order they come; a number
    /// that was not known becomes known, but belongs to no contact yet.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn opt_out(
        &self,
        workspace: WorkspaceId,
        digits: &str,
        source: &str,
        at: UnixMillis,
    ) -> Result<(), StoreError> {
        self.spread(workspace, phone_tag(digits), Direction::Against, &word(source, at)).await
    }

    /// Notes that the owner of a number wants messages, as [`Core::opt_out`] does the contrary.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn opt_in(
        &self,
        workspace: WorkspaceId,
        digits: &str,
        source: &str,
        at: UnixMillis,
    ) -> Result<(), StoreError> {
        self.spread(workspace, phone_tag(digits), Direction::For, &word(source, at)).await
    }

    /// [`Core::opt_out`] of whoever is known by this number or user id; it holds for the number that a user id is linked
    /// with.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn opt_out_by(
        &self,
        workspace: WorkspaceId,
        alias: &Alias,
        source: &str,
        at: UnixMillis,
    ) -> Result<(), StoreError> {
        self.spread(workspace, alias.tag(), Direction::Against, &word(source, at)).await
    }

    /// [`Core::opt_in`] of whoever is known by this number or user id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn opt_in_by(
        &self,
        workspace: WorkspaceId,
        alias: &Alias,
        source: &str,
        at: UnixMillis,
    ) -> Result<(), StoreError> {
        self.spread(workspace, alias.tag(), Direction::For, &word(source, at)).await
    }

    /// Writes a word to a row and to all that are linked with it. A number that its owner has left before the word was
    /// given is not theirs any more: there the word goes neither in nor through.
    pub(super) async fn spread(
        &self,
        workspace: WorkspaceId,
        start: String,
        direction: Direction,
        word: &StoredWord,
    ) -> Result<(), StoreError> {
        let mut seen = BTreeSet::from([start.clone()]);
        let mut next = vec![start.clone()];
        while let Some(tag) = next.pop() {
            let is_number = tag.starts_with(Kind::Phone.name());
            let row = self.write_word(workspace, &tag, direction, word, is_number && tag != start).await?;
            let Some(row) = row else { continue };
            let was_left = is_number && row.until.is_some_and(|until| until < word.at);
            if was_left {
                continue;
            }
            let words_pass = |tag: &&String| Alias::of_tag(tag).is_ok_and(|alias| alias.kind().rank() == Rank::User);
            for other in row.linked.iter().chain(&row.moved_to).filter(words_pass) {
                if seen.insert(other.clone()) {
                    next.push(other.clone());
                }
            }
        }
        Ok(())
    }

    /// Writes a word to one row unless a later one is there; the row as it is then.
    async fn write_word(
        &self,
        workspace: WorkspaceId,
        tag: &str,
        direction: Direction,
        word: &StoredWord,
        only_if_still_theirs: bool,
    ) -> Result<Option<AliasRow>, StoreError> {
        let kind = direction.attribute();
        let mut update = Update::default();
        update.set_if_absent("v", number(1));
        update.set_if_absent("known_since", number(word.at.0));
        update.set(kind, attribute("alias", word)?);
        update.add("revision", number(1));
        let (there, time, from) = (update.name(kind), update.part(kind, "at"), update.part(kind, "source"));
        let (new_time, new_source) = (update.value(number(word.at.0)), update.value(text(&word.source)));
        update.only_if(format!(
            "attribute_not_exists({there}) OR {time} < {new_time} OR ({time} = {new_time} AND {from} < {new_source})"
        ));
        if only_if_still_theirs {
            let until = update.name("until");
            update.only_if(format!("attribute_not_exists({until}) OR {until} >= {new_time}"));
        }
        let key = keys::Key::new(format!("WS#{workspace}#ALIAS#{tag}"), keys::ALIAS);
        match self.update(key, update).await? {
            Updated::Done(item) | Updated::Refused(item) if !item.is_empty() => Ok(Some(read("alias", item)?)),
            _ => Ok(None),
        }
    }

    /// Takes the words of each row, and of all that are linked with it, to the other; `true` when there was nothing to take
    /// and nothing has to be read again.
    pub(super) async fn share_words(
        &self,
        workspace: WorkspaceId,
        (one, row): (&Alias, Option<&AliasRow>),
        (other, other_row): (&Alias, Option<&AliasRow>),
    ) -> Result<bool, StoreError> {
        let words = |row: Option<&AliasRow>| {
            let (yes, no) = row.map(AliasRow::words).unwrap_or_default();
            (yes.cloned(), no.cloned())
        };
        let ((yes, no), (other_yes, other_no)) = (words(row), words(other_row));
        let mut shared = true;
        for (direction, mine, theirs) in [(Direction::For, yes, other_yes), (Direction::Against, no, other_no)] {
            let (to, later) = match (mine, theirs) {
                (mine, theirs) if mine == theirs => continue,
                (mine, theirs) if mine > theirs => (other, mine),
                (_, theirs) => (one, theirs),
            };
            if let Some(later) = later {
                self.spread(workspace, to.tag(), direction, &later).await?;
                shared = false;
            }
        }
        Ok(shared)
    }

    /// Takes the words of a number to the one that its owner has taken at this time, as far as they are older; `true` when
    /// there was nothing to take and nothing has to be read again.
    pub(super) async fn carry_earlier_words(
        &self,
        workspace: WorkspaceId,
        left: Option<&AliasRow>,
        (taken, taken_row): (&Alias, Option<&AliasRow>),
        at: UnixMillis,
    ) -> Result<bool, StoreError> {
        let (yes, no) = left.map(AliasRow::words).unwrap_or_default();
        let (taken_yes, taken_no) = taken_row.map(AliasRow::words).unwrap_or_default();
        let mut carried = true;
        for (direction, theirs, there) in [(Direction::For, yes, taken_yes), (Direction::Against, no, taken_no)] {
            if let Some(word) = theirs.filter(|word| word.at <= at && there < Some(word)) {
                self.spread(workspace, taken.tag(), direction, word).await?;
                carried = false;
            }
        }
        Ok(carried)
    }
}

fn word(source: &str, at: UnixMillis) -> StoredWord {
    StoredWord { at, source: source.to_owned() }
}

fn phone_tag(digits: &str) -> String {
    format!("{}#{}", Kind::Phone.name(), crate::phone::canonical_digits(digits))
}
