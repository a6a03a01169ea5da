//! The warehouse on an embedded S3: whoever dies on the way and however many work at once, every event is in its file once.
//! The files are read by the Parquet library's own row reader, not by the code that wrote them.

use std::collections::{BTreeMap, BTreeSet};

use ::warehouse::{Compacted, Erased, FILES, STAGED, Warehouse};
use local::engines::Engines;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use shared::activity::id_of;
use shared::blob::Bucket;
use shared::id::{ContactId, WorkspaceId};
use shared::published::{Change, Published};
use shared::rollup::SequenceNumber;
use shared::time::UnixMillis;

use crate::interruption::{Stopped, stop_at};
use crate::support::memory;

const NOW: i64 = 1_790_000_000_000;
const HOUR: i64 = 3_600_000;

/// A row as a reader outside sees it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Read {
    /// Its file.
    pub(crate) key: String,
    pub(crate) cells: BTreeMap<String, Field>,
}

impl Read {
    /// The column as a text; empty when it is null.
    pub(crate) fn text(&self, column: &str) -> String {
        match &self.cells[column] {
            Field::Str(text) => text.clone(),
            Field::Null => String::new(),
            other => other.to_string(),
        }
    }

    pub(crate) fn at(&self) -> i64 {
        match self.cells["occurred_at"] {
            Field::TimestampMillis(at) => at,
            ref other => panic!("{other} is no time"),
        }
    }
}

/// All rows of all files in the order of the files, which is checked.
pub(crate) async fn rows(bucket: &Bucket) -> Vec<Read> {
    let mut rows = Vec::new();
    for key in bucket.keys(FILES, None).await.unwrap() {
        let file = SerializedFileReader::new(bucket.get(&key).await.unwrap()).unwrap();
        let read: Vec<Read> = file
            .get_row_iter(None)
            .unwrap()
            .map(|row| row.unwrap().into_columns().into_iter().collect())
            .map(|cells| Read { key: key.clone(), cells })
            .collect();
        let order = |row: &Read| (row.text("account"), row.text("type"), row.at(), row.text("id"));
        assert!(read.is_sorted_by_key(order), "{key} is not in order");
        rows.extend(read);
    }
    rows
}

fn event(number: u32, at: i64) -> Published {
    let person = |n: u32| -> ContactId { format!("ctc_01J0000000000000000000000{n}").parse().unwrap() };
    Published {
        id: id_of(UnixMillis(NOW), &[&number.to_string()]),
        kind: ["message.sent", "message.delivered", "link.clicked"][number as usize % 3].to_owned(),
        at: UnixMillis(at),
        seen: UnixMillis(at + 5),
        workspace: WorkspaceId::FIRST,
        account: (!number.is_multiple_of(4))
            .then(|| format!("acc_01J0000000000000000000000{}", number % 4).parse().unwrap()),
        contact: Some(person(number % 5)),
        campaign: None,
        recipient: None,
        variant: None,
        data: [("country".to_owned(), "MY".into()), ("link".to_owned(), number.to_string().into())]
            .into_iter()
            .collect(),
    }
}

/// What is to be in the files, and the stream that tells it.
#[derive(Default)]
struct Truth {
    sequence: u64,
    /// Time by event.
    events: BTreeMap<u32, i64>,
}

impl Truth {
    /// A batch with so many new events, and some older ones that are known better by now: earlier, some by an hour.
    fn batch(&mut self, new: u32) -> Vec<(SequenceNumber, Change)> {
        let known: Vec<(u32, i64)> = self.events.iter().map(|(number, at)| (*number, *at)).collect();
        let mut changes = Vec::new();
        for (number, at) in known.iter().rev().step_by(7).take(3) {
            let earlier = at - if number % 2 == 0 { HOUR } else { 1_000 };
            changes.push((*number, earlier, Some(*at)));
        }
        let first = u32::try_from(self.events.len()).unwrap();
        changes.extend((first..first + new).map(|number| (number, NOW + i64::from(number % 9) * HOUR / 3, None)));
        changes
            .into_iter()
            .map(|(number, at, was)| {
                self.events.insert(number, at);
                self.sequence += 1;
                let change = Change { event: event(number, at), was: was.map(UnixMillis) };
                (SequenceNumber::new(&self.sequence.to_string()), change)
            })
            .collect()
    }

    fn expected(&self) -> BTreeMap<String, i64> {
        self.events.iter().map(|(number, at)| (event(*number, 0).id.to_string(), *at)).collect()
    }
}

async fn empty() -> (Engines, Bucket, Warehouse) {
    let engines = memory().await;
    engines.s3().create_bucket().bucket("bucket").send().await.unwrap();
    let bucket = Bucket::new(engines.s3(), "bucket");
    (engines, bucket.clone(), Warehouse::new(bucket))
}

/// Each event of the files with its time; one that is there twice fails.
async fn stored(bucket: &Bucket) -> BTreeMap<String, i64> {
    let mut stored = BTreeMap::new();
    for row in rows(bucket).await {
        assert_eq!(stored.insert(row.text("id"), row.at()), None, "{} is there twice", row.text("id"));
    }
    stored
}

#[tokio::test(flavor = "multi_thread")]
async fn staging_and_compacting_may_stop_at_any_await_and_every_event_is_there_once() {
    let (engines, bucket, warehouse) = empty().await;
    let (mut truth, mut ended) = (Truth::default(), 0);
    for n in 1.. {
        let batch = truth.batch(12);
        // The stream gives a batch again that was not taken in to its end, perhaps cut.
        stop_at(n, warehouse.stage(&batch)).await;
        warehouse.stage(&batch[..5]).await.unwrap();
        warehouse.stage(&batch[5..]).await.unwrap();
        if stop_at(n, warehouse.compact(None)).await == Stopped::No {
            ended += 1;
        }
        if ended == 3 {
            assert!(n > 10, "only {n} awaits were found");
            break;
        }
    }
    let done = warehouse.compact(None).await.unwrap();
    assert!(done.finished && done.unreadable == 0);
    assert_eq!(stored(&bucket).await, truth.expected());
    assert!(bucket.keys(STAGED, None).await.unwrap().is_empty());
    assert_eq!(warehouse.compact(None).await.unwrap(), Compacted { finished: true, ..Compacted::default() });
    engines.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn compactions_at_the_same_time_lose_nothing() {
    let (engines, bucket, warehouse) = empty().await;
    let mut truth = Truth::default();
    for _ in 0..4 {
        let (first, second) = (truth.batch(20), truth.batch(20));
        warehouse.stage(&first).await.unwrap();
        let staging = warehouse.stage(&second);
        let (one, other, third, staged) =
            futures::join!(warehouse.compact(None), warehouse.compact(None), warehouse.compact(None), staging);
        for done in [one, other, third] {
            done.unwrap();
        }
        staged.unwrap();
    }
    warehouse.compact(None).await.unwrap();
    assert_eq!(stored(&bucket).await, truth.expected());
    engines.shutdown().await;
}

#[tokio::test]
async fn a_batch_that_comes_again_after_it_was_merged_changes_nothing() {
    let (engines, bucket, warehouse) = empty().await;
    let mut truth = Truth::default();
    let batches = [truth.batch(10), truth.batch(10), truth.batch(10)];
    for batch in batches.iter().chain(&batches).chain(batches.iter().rev()) {
        warehouse.stage(batch).await.unwrap();
        warehouse.compact(None).await.unwrap();
        if batch == &batches[2] {
            assert_eq!(stored(&bucket).await, truth.expected());
        }
    }
    assert_eq!(stored(&bucket).await, truth.expected(), "an older version came back");
    engines.shutdown().await;
}

#[tokio::test]
async fn what_cannot_be_read_stays_and_does_not_hold_up_the_rest() {
    let (engines, bucket, warehouse) = empty().await;
    let mut truth = Truth::default();
    let broken = "events/staged/date=2026-09-21/hour=14/0.ndjson.zst";
    bucket.put(broken, "not zstd", "application/zstd").await.unwrap();
    warehouse.stage(&truth.batch(10)).await.unwrap();
    let done = warehouse.compact(None).await.unwrap();
    assert_eq!((done.unreadable, done.events), (1, 10));
    assert_eq!(stored(&bucket).await, truth.expected());
    assert_eq!(bucket.keys(STAGED, None).await.unwrap(), [broken]);
    engines.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_erased_is_in_no_file_and_everything_is_counted_as_before() {
    let (engines, bucket, warehouse) = empty().await;
    let mut truth = Truth::default();
    warehouse.stage(&truth.batch(40)).await.unwrap();
    warehouse.compact(None).await.unwrap();
    warehouse.stage(&truth.batch(10)).await.unwrap();
    let mut far = event(1_000, NOW + 100 * HOUR);
    far.contact = Some("ctc_01J00000000000000000000009".parse().unwrap());
    warehouse.stage(&[(SequenceNumber::new("9999"), Change { event: far.clone(), was: None })]).await.unwrap();
    warehouse.compact(None).await.unwrap();
    let untouched = bucket.keys(FILES, None).await.unwrap().pop().unwrap();
    let version = bucket.head(&untouched).await.unwrap();

    let gone: ContactId = "ctc_01J00000000000000000000003".parse().unwrap();
    let theirs = rows(&bucket).await.iter().filter(|row| row.text("contact") == gone.to_string()).count();
    assert_eq!(theirs, 10);
    let erased = warehouse.erase(&BTreeSet::from([gone])).await.unwrap();
    assert!(erased.rows == theirs && erased.files >= 1, "{erased:?}");
    let after = rows(&bucket).await;
    for row in after.iter().filter(|row| row.text("contact").is_empty()) {
        assert_eq!((row.text("country").as_str(), row.text("data").as_str()), ("", r#"{"erased":true}"#));
        assert!(!row.text("link").is_empty());
    }
    assert_eq!(after.iter().filter(|row| row.text("contact").is_empty()).count(), theirs);
    assert!(after.iter().all(|row| row.text("contact") != gone.to_string()));
    let mut expected = truth.expected();
    expected.insert(far.id.to_string(), far.at.0);
    assert_eq!(stored(&bucket).await, expected);
    assert_eq!(bucket.head(&untouched).await.unwrap(), version, "a file that does not name them was written anew");
    assert_eq!(warehouse.erase(&BTreeSet::from([gone])).await.unwrap(), Erased::default());
    engines.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_keeps_nobody_from_being_shown_and_erased_elsewhere() {
    let (engines, bucket, warehouse) = empty().await;
    let mut truth = Truth::default();
    warehouse.stage(&truth.batch(40)).await.unwrap();
    warehouse.compact(None).await.unwrap();
    let people: BTreeSet<ContactId> = ["ctc_01J00000000000000000000003".parse().unwrap()].into();
    let before = rows(&bucket).await;
    let damaged = bucket.keys(FILES, None).await.unwrap().remove(0);
    let is_theirs = |row: &&Read| row.text("contact") == people.first().unwrap().to_string() && row.key != damaged;
    let theirs = before.iter().filter(is_theirs).count();
    assert!(theirs > 0);

    bucket.put(&damaged, "not Parquet", "x").await.unwrap();
    // For the hour of the damaged file: it stays staged.
    let late = Change { event: event(1_000, NOW), was: None };
    warehouse.stage(&[(SequenceNumber::new("9999"), late)]).await.unwrap();
    let broken = "events/staged/date=2026-09-21/hour=16/0.ndjson.zst";
    bucket.put(broken, "not zstd", "application/zstd").await.unwrap();
    let unreadable = BTreeSet::from([broken.to_owned(), damaged.clone()]);

    let shown = warehouse.rows_of(WorkspaceId::FIRST, &people).await.unwrap();
    assert_eq!((shown.rows.len(), &shown.unreadable), (theirs, &unreadable));
    let erased = warehouse.erase(&people).await.unwrap();
    assert_eq!((erased.rows, &erased.unreadable), (theirs, &unreadable));
    let after = warehouse.rows_of(WorkspaceId::FIRST, &people).await.unwrap();
    assert_eq!((after.rows.len(), after.unreadable), (0, unreadable));
    assert!(warehouse.compact(None).await.is_err(), "who merges is told");
    engines.shutdown().await;
}
