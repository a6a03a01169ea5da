//! What makes the queues outlive the process: an append-only file of JSON lines, one per change, written before the
//! change is acknowledged. At the start it is read back and rewritten without what is gone. The file is not synced:
//! it survives the death of the process, not a loss of power.

use std::{
    collections::{BTreeMap, HashMap},
    fs::{File, OpenOptions},
    io::{self, BufRead as _, BufReader, BufWriter, Write as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use rustack_sqs_model::types::MessageAttributeValue;
use serde::{Deserialize, Serialize};

/// A journal is rewritten when it is this large and mostly holds messages that are gone.
const COMPACT_FROM_BYTES: u64 = 32 << 20;

/// How many times larger than its live messages a journal may grow.
const COMPACT_RATIO: u64 = 4;

/// A message that was accepted and is not yet deleted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct StoredMessage {
    pub(super) id: String,
    pub(super) queue: String,
    pub(super) body: String,
    #[serde(default, skip_serializing_if = "HashMap::is_empty")]
    pub(super) attributes: HashMap<String, MessageAttributeValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) group: Option<String>,
    /// When it was sent: Unix milliseconds.
    pub(super) sent_ms: u64,
    /// Until when it is hidden by a delay or an explicit change of visibility: Unix milliseconds.
    #[serde(default)]
    pub(super) hidden_until_ms: u64,
    /// How often it was received from the queue it is in.
    #[serde(default)]
    pub(super) receives: u32,
    /// When it was first received from that queue: Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) first_received_ms: Option<u64>,
    /// The ARN of the queue that gave it up, for a message in a dead-letter queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) moved_from: Option<String>,
    /// Its place among the messages of this process: keeps the order over a restart.
    #[serde(skip)]
    pub(super) order: u64,
}

/// A queue as it was configured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct StoredQueue {
    pub(super) attributes: BTreeMap<String, String>,
    pub(super) tags: BTreeMap<String, String>,
}

/// One change of the queues.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Entry {
    /// A queue exists with these settings.
    Queue { name: String, settings: StoredQueue },
    /// A queue and its messages are gone.
    DropQueue(String),
    /// The messages of a queue are gone.
    Purge(String),
    /// A message was accepted.
    Sent(StoredMessage),
    /// Messages were handed out at this time.
    Received { ids: Vec<String>, at_ms: u64 },
    /// A message is hidden until this time.
    Hidden { id: String, until_ms: u64 },
    /// A message went to another queue.
    Moved { id: String, queue: String, from: Option<String> },
    /// Messages were deleted.
    Deleted(Vec<String>),
}

/// Queues and messages as the journal has them.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) queues: BTreeMap<String, StoredQueue>,
    pub(super) messages: HashMap<String, StoredMessage>,
    next_order: u64,
}

impl Contents {
    /// Applies one change; a change of something that is gone changes nothing.
    pub(super) fn apply(&mut self, entry: Entry) {
        match entry {
            Entry::Queue { name, settings } => {
                self.queues.insert(name, settings);
            }
            Entry::DropQueue(name) => {
                self.queues.remove(&name);
                self.messages.retain(|_, message| message.queue != name);
            }
            Entry::Purge(name) => self.messages.retain(|_, message| message.queue != name),
            Entry::Sent(mut message) => {
                message.order = self.order();
                self.messages.insert(message.id.clone(), message);
            }
            Entry::Received { ids, at_ms } => {
                for id in ids {
                    if let Some(message) = self.messages.get_mut(&id) {
                        message.receives += 1;
                        message.first_received_ms.get_or_insert(at_ms);
                        message.hidden_until_ms = 0;
                    }
                }
            }
            Entry::Hidden { id, until_ms } => {
                if let Some(message) = self.messages.get_mut(&id) {
                    message.hidden_until_ms = until_ms;
                }
            }
            Entry::Moved { id, queue, from } => {
                let order = self.order();
                if let Some(message) = self.messages.get_mut(&id) {
                    message.queue = queue;
                    message.moved_from = from;
                    message.receives = 0;
                    message.first_received_ms = None;
                    message.hidden_until_ms = 0;
                    message.order = order;
                }
            }
            Entry::Deleted(ids) => {
                for id in ids {
                    self.messages.remove(&id);
                }
            }
        }
    }

    /// Every message, in the order in which they came to their queues.
    pub(super) fn in_order(&self) -> Vec<&StoredMessage> {
        let mut messages: Vec<_> = self.messages.values().collect();
        messages.sort_unstable_by_key(|message| message.order);
        messages
    }

    fn order(&mut self) -> u64 {
        self.next_order += 1;
        self.next_order
    }
}

/// The open file.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    bytes: u64,
    compact_at: u64,
}

impl Journal {
    /// Reads what the journal holds and rewrites it compactly.
    ///
    /// A line that the death of the process cut short was never acknowledged and is dropped.
    pub(super) fn open(path: &Path) -> anyhow::Result<(Self, Contents)> {
        let contents = read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let (file, bytes) = rewrite(path, &contents).with_context(|| format!("cannot write {}", path.display()))?;
        let journal = Self { path: path.to_owned(), file, bytes, compact_at: compact_at(bytes) };
        Ok((journal, contents))
    }

    /// Adds a change to the file. When it fails, the file is as it was.
    pub(super) fn append(&mut self, entry: &Entry) -> io::Result<()> {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        if let Err(error) = self.file.write_all(&line) {
            // Half a line in the middle of the file would make the rest unreadable.
            self.file.set_len(self.bytes)?;
            return Err(error);
        }
        self.bytes += line.len() as u64;
        Ok(())
    }

    /// Rewrites the file when most of it is history.
    pub(super) fn compact_if_due(&mut self, contents: &Contents) {
        if self.bytes < self.compact_at {
            return;
        }
        match rewrite(&self.path, contents) {
            Ok((file, bytes)) => {
                self.file = file;
                self.bytes = bytes;
                self.compact_at = compact_at(bytes);
            }
            Err(error) => {
                tracing::warn!(%error, "the queue journal was not compacted");
                self.compact_at = self.bytes * 2;
            }
        }
    }
}

fn compact_at(live_bytes: u64) -> u64 {
    COMPACT_FROM_BYTES.max(live_bytes * COMPACT_RATIO)
}

fn read(path: &Path) -> anyhow::Result<Contents> {
    let mut contents = Contents::default();
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(contents),
        Err(error) => return Err(error.into()),
    };
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        reader.read_until(b'\n', &mut line)?;
        if line.last() != Some(&b'\n') {
            if !line.is_empty() {
                tracing::info!(line = number, "the last change in the queue journal is incomplete and was dropped");
            }
            break;
        }
        let entry = serde_json::from_slice(&line).with_context(|| format!("line {number} is not a change"))?;
        contents.apply(entry);
    }
    Ok(contents)
}

/// Writes queues and messages to a new file and puts it in the place of the old one.
fn rewrite(path: &Path, contents: &Contents) -> io::Result<(File, u64)> {
    let replacement = path.with_extension("new");
    let mut writer = BufWriter::with_capacity(1 << 20, File::create(&replacement)?);
    let mut put = |entry: &Entry| -> io::Result<()> {
        serde_json::to_writer(&mut writer, entry)?;
        writer.write_all(b"\n")
    };
    for (name, settings) in &contents.queues {
        put(&Entry::Queue { name: name.clone(), settings: settings.clone() })?;
    }
    for message in contents.in_order() {
        put(&Entry::Sent(message.clone()))?;
    }
    writer.flush()?;
    drop(writer);
    std::fs::rename(&replacement, path)?;
    let file = OpenOptions::new().append(true).open(path)?;
    let bytes = file.metadata()?.len();
    Ok((file, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(id: &str) -> StoredMessage {
        StoredMessage {
            id: id.into(),
            queue: "q".into(),
            body: format!("body of {id}"),
            attributes: HashMap::new(),
            group: None,
            sent_ms: 1,
            hidden_until_ms: 0,
            receives: 0,
            first_received_ms: None,
            moved_from: None,
            order: 0,
        }
    }

    fn ids(contents: &Contents) -> Vec<&str> {
        contents.in_order().into_iter().map(|message| message.id.as_str()).collect()
    }

    #[test]
    fn what_is_not_deleted_is_read_back_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let (mut journal, _) = Journal::open(&path).unwrap();
        for id in ["c", "a", "b"] {
            journal.append(&Entry::Sent(message(id))).unwrap();
        }
        journal.append(&Entry::Received { ids: vec!["b".into()], at_ms: 7 }).unwrap();
        journal.append(&Entry::Deleted(vec!["a".into()])).unwrap();
        drop(journal);
        for _ in 0..2 {
            let (_, contents) = Journal::open(&path).unwrap();
            assert_eq!(ids(&contents), ["c", "b"]);
            assert_eq!(contents.messages["b"].receives, 1);
            assert_eq!(contents.messages["b"].first_received_ms, Some(7));
        }
    }

    #[test]
    fn a_line_cut_short_is_dropped_and_the_rest_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let (mut journal, _) = Journal::open(&path).unwrap();
        journal.append(&Entry::Sent(message("a"))).unwrap();
        journal.file.write_all(br#"{"sent":{"id":"b","#).unwrap();
        drop(journal);
        let (mut journal, contents) = Journal::open(&path).unwrap();
        assert_eq!(ids(&contents), ["a"]);
        journal.append(&Entry::Sent(message("c"))).unwrap();
        drop(journal);
        assert_eq!(ids(&Journal::open(&path).unwrap().1), ["a", "c"]);
    }

    #[test]
    fn a_damaged_line_in_the_middle_is_an_error_and_not_a_loss() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        std::fs::write(&path, "garbage\n{\"purge\":\"q\"}\n").unwrap();
        assert!(format!("{:#}", Journal::open(&path).unwrap_err()).contains("line 1"));
    }

    #[test]
    fn a_journal_of_history_is_compacted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let (mut journal, mut contents) = Journal::open(&path).unwrap();
        journal.compact_at = 4_000;
        for number in 0..100 {
            let id = number.to_string();
            for entry in [Entry::Sent(message(&id)), Entry::Deleted(vec![id])] {
                journal.append(&entry).unwrap();
                contents.apply(entry);
            }
        }
        journal.append(&Entry::Sent(message("last"))).unwrap();
        contents.apply(Entry::Sent(message("last")));
        journal.compact_if_due(&contents);
        assert!(journal.bytes < 200, "{}", journal.bytes);
        drop(journal);
        assert_eq!(ids(&Journal::open(&path).unwrap().1), ["last"]);
    }
}
