//! Importing a file batch by batch. After each batch its verdicts lie in the bucket and the import's row says so; a run
//! that is cut off in between does that batch again, and every write in it can be repeated.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use futures::StreamExt;

use super::{BATCH_LINES, ERRORS_SHOWN, Import, ImportStatus, LineError, Person, read_line};
use crate::blob::audience::{CsvFile, NDJSON, NoLines, to_ndjson};
use crate::blob::{BlobError, Bucket, key};
use crate::campaign::audience::{Line, NumberedLine, Skipped};
use crate::contact::alias::Alias;
use crate::id::ContactId;
use crate::job::{Step, Watch};
use crate::phone::canonical_digits;
use crate::store::{Core, Evidence, Sighting, StoreError, Upsert, Upserted};
use crate::time::UnixMillis;

/// Contacts being written at once; each is three to four writes of its own row.
const CONTACTS_AT_ONCE: usize = 32;

/// How we know of an opt-in.
const SOURCE: &str = "import";

/// Why an import stopped; a repeat goes on where it was.
#[derive(Debug, thiserror::Error)]
pub enum NotImported {
    /// The file. If a repeat cannot help, the import has failed and says why.
    #[error(transparent)]
    Lines(#[from] NoLines),
    /// The table.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The bucket.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// A row that cannot be written as JSON.
    #[error("a batch cannot be written as JSON")]
    Json(#[from] serde_json::Error),
    /// Somebody else works on this import, or the caller asked to stop.
    #[error("somebody asked to stop")]
    Stopped,
}

/// What became of a line.
enum Verdict {
    Created(Line),
    Updated(Line),
    /// Of an earlier line.
    Duplicate(Skipped),
    Rejected(Skipped),
}

/// A line on its way to its verdict.
enum Checked {
    Taken(u64, Box<Person>),
    Settled(u64, Verdict),
}

/// Imports what is left of the file. `watch` is asked after each batch.
///
/// # Errors
/// [`NotImported`].
pub async fn run(
    core: &Core,
    bucket: &Bucket,
    mut import: Import,
    file: CsvFile,
    watch: &mut impl Watch<Import>,
) -> Result<Import, NotImported> {
    let mut seen = Seen::default();
    let mut lines = file.lines;
    let (mut batch, mut number) = (Vec::with_capacity(BATCH_LINES), 0);
    import.bytes = file.bytes;
    loop {
        let more = lines.next().await.transpose()?;
        let ended = more.is_none();
        for line in more.into_iter().flatten() {
            batch.push(seen.check(line, &import));
            if batch.len() == BATCH_LINES {
                let full = std::mem::replace(&mut batch, Vec::with_capacity(BATCH_LINES));
                import = finish_batch(core, bucket, import, number, full, file.read.load(Ordering::Relaxed)).await?;
                number += 1;
                if watch.look(&import).await? == Step::Stop {
                    return Err(NotImported::Stopped);
                }
            }
        }
        if ended {
            break;
        }
    }
    if !batch.is_empty() {
        import = finish_batch(core, bucket, import, number, batch, file.bytes).await?;
    }
    let mut done = import.clone();
    done.status = ImportStatus::Completed;
    done.bytes_read = file.bytes;
    done.finished_at = Some(UnixMillis::now());
    if core.advance_import(&import, &done).await? { Ok(done) } else { Err(NotImported::Stopped) }
}

/// Writes a batch unless an earlier run has; then its lines were only read for the sake of duplicates.
async fn finish_batch(
    core: &Core,
    bucket: &Bucket,
    import: Import,
    number: u32,
    batch: Vec<Checked>,
    bytes_read: u64,
) -> Result<Import, NotImported> {
    if number < import.batches {
        return Ok(import);
    }
    let verdicts: Vec<Result<(u64, Verdict), StoreError>> = futures::stream::iter(batch)
        .map(|checked| async {
            match checked {
                Checked::Taken(line, person) => Ok((line, take(core, &import, line, *person).await?)),
                Checked::Settled(line, verdict) => Ok((line, verdict)),
            }
        })
        .buffered(CONTACTS_AT_ONCE)
        .collect()
        .await;
    let mut next = Import { batches: number + 1, bytes_read, ..import.clone() };
    let (mut accepted, mut rejected) = (Vec::new(), Vec::new());
    for verdict in verdicts {
        let (number, verdict) = verdict?;
        next.lines += 1;
        match verdict {
            Verdict::Created(line) => {
                next.created += 1;
                accepted.push((number, line));
            }
            Verdict::Updated(line) => {
                next.updated += 1;
                accepted.push((number, line));
            }
            Verdict::Duplicate(line) => {
                next.duplicates += 1;
                rejected.push(line);
            }
            Verdict::Rejected(line) => {
                next.rejected += 1;
                rejected.push(line);
            }
        }
    }
    let room = ERRORS_SHOWN.saturating_sub(next.errors.len());
    let shown = rejected.iter().take(room).map(|line| LineError { line: line.line, reason: line.reason.clone() });
    next.errors.extend(shown);
    let (workspace, id) = (import.workspace, import.id);
    for (key, body) in [
        (key::import_accepted(workspace, id, number), to_ndjson(&accepted)?),
        (key::import_rejected(workspace, id, number), to_ndjson(&rejected)?),
    ] {
        if !body.is_empty() {
            bucket.put(&key, body, NDJSON).await?;
        }
    }
    if core.advance_import(&import, &next).await? { Ok(next) } else { Err(NotImported::Stopped) }
}

/// Writes a person's contact.
async fn take(core: &Core, import: &Import, number: u64, person: Person) -> Result<Verdict, StoreError> {
    let (workspace, now) = (import.workspace, UnixMillis::now());
    let digits = person.phone.digits();
    let mut aliases = vec![Alias::from(&person.phone)];
    aliases.extend(person.patch.email.as_deref().and_then(|email| Alias::email(email).ok()));
    let sighting = Sighting { aliases: &aliases, evidence: Evidence::Told, source: SOURCE, at: now };
    let upsert = Upsert { sighting, patch: &person.patch, fresh: ContactId::new(now), import: Some(import.id) };
    let upserted = core.upsert(workspace, &upsert).await?.map_or(Upserted::Missing, |(upserted, _)| upserted);
    if let Some(at) = person.opt_in {
        core.opt_in(workspace, digits, SOURCE, at).await?;
    }
    let mut variables = person.patch.attributes;
    variables.extend(person.patch.email.map(|email| ("email".to_owned(), email)));
    let line = Line { phone: person.phone.to_string(), name: person.patch.name, variables };
    Ok(match upserted {
        Upserted::Created(_) => Verdict::Created(line),
        Upserted::Updated(_) => Verdict::Updated(line),
        Upserted::Refused(reason) => {
            Verdict::Rejected(Skipped { line: number, phone: line.phone, reason: reason.to_string() })
        }
        Upserted::Missing => {
            let reason = "the contact is being deleted".to_owned();
            Verdict::Rejected(Skipped { line: number, phone: line.phone, reason })
        }
    })
}

/// The numbers so far, each with the line it was on. As integers numbers are themselves (E.164: 15 digits); 1 M of them
/// take 36 MB.
#[derive(Default)]
struct Seen(HashMap<u64, u32>);

impl Seen {
    fn check(&mut self, (number, line): NumberedLine, import: &Import) -> Checked {
        let skipped = |phone: &str, reason: String| Skipped { line: number, phone: phone.to_owned(), reason };
        let line = match line {
            Ok(line) => line,
            Err(reason) => return Checked::Settled(number, Verdict::Rejected(skipped("", reason))),
        };
        let person = match read_line(&line, import.default_region, import.created_at) {
            Ok(person) => person,
            Err(reason) => {
                return Checked::Settled(number, Verdict::Rejected(skipped(&line.phone, reason.to_string())));
            }
        };
        let digits = canonical_digits(person.phone.digits()).parse().unwrap_or(0);
        let this = u32::try_from(number).unwrap_or(u32::MAX);
        match self.0.insert(digits, this) {
            None => Checked::Taken(number, Box::new(person)),
            Some(first) => {
                self.0.insert(digits, first);
                let reason = format!("the number is on line {first} already");
                Checked::Settled(number, Verdict::Duplicate(skipped(&line.phone, reason)))
            }
        }
    }
}
