//! The file that lets accepted messages outlive the process: one JSON object per line, one write call per line.
//! It holds simulated people only. A line that was being written when the process died is cut off at the next start.

use std::borrow::Cow;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::book::MessageRecord;
use crate::graph::media::MediaRecord;
use crate::template::Held;

/// One line of the journal.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Entry<'a> {
    /// A message was accepted.
    Message(Cow<'a, MessageRecord>),
    /// A template was created or has changed; its last entry counts.
    Template(Cow<'a, Held>),
    /// A file was uploaded.
    Media(Cow<'a, MediaRecord>),
    /// A file was deleted.
    MediaDeleted(String),
    /// All files so far have expired before their time.
    MediaExpired,
    /// These events (message number, event number) need not be repeated after a restart.
    Done(Vec<(usize, usize)>),
}

/// The journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file cannot be opened, read or written.
    #[error("journal file")]
    Io(#[from] std::io::Error),
    /// A line other than the last is not a journal entry.
    #[error("journal line {line} is not an entry")]
    Entry {
        /// Counted from 1.
        line: usize,
        /// Why.
        source: serde_json::Error,
    },
}

/// An open journal.
#[derive(Debug)]
pub(crate) struct Journal {
    file: Mutex<File>,
}

impl Journal {
    /// Opens or creates a journal and reads what is in it.
    pub(crate) fn open(path: &Path) -> Result<(Self, Vec<Entry<'static>>), JournalError> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        if whole < bytes.len() {
            file.set_len(whole as u64)?;
            file.seek(SeekFrom::End(0))?;
        }
        let lines = bytes[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let entries = lines
            .enumerate()
            .map(|(n, line)| serde_json::from_slice(line).map_err(|source| JournalError::Entry { line: n + 1, source }))
            .collect::<Result<_, _>>()?;
        Ok((Self { file: Mutex::new(file) }, entries))
    }

    /// Appends an entry. When it returns, the entry survives the death of this process (not that of the machine).
    pub(crate) fn append(&self, entry: &Entry<'_>) -> Result<(), JournalError> {
        let mut line = serde_json::to_vec(entry).map_err(std::io::Error::from)?;
        line.push(b'\n');
        self.file.lock().unwrap_or_else(PoisonError::into_inner).write_all(&line)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_last_line_is_cut_off_and_the_journal_goes_on() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal.ndjson");
        std::fs::write(&path, b"{\"done\":[[0,1]]}\n{\"done\":[[0,").expect("writes");
        let (journal, entries) = Journal::open(&path).expect("opens");
        assert_eq!(entries.len(), 1);
        journal.append(&Entry::Done(vec![(2, 3)])).expect("appends");
        let (_, entries) = Journal::open(&path).expect("opens");
        assert!(matches!(&entries[..], [Entry::Done(_), Entry::Done(second)] if second == &[(2, 3)]));
    }

    #[test]
    fn a_broken_line_in_the_middle_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal.ndjson");
        std::fs::write(&path, b"{\"done\":[]}\nnonsense\n").expect("writes");
        assert!(matches!(Journal::open(&path), Err(JournalError::Entry { line: 2, .. })));
    }
}
