//! What the Parquet files must hold: every event that the rows stand for, once, at the time that the rows have.

use std::collections::HashMap;
use std::sync::Arc;

use ::parquet::file::reader::{FileReader as _, SerializedFileReader};
use ::parquet::record::RowAccessor as _;
use ::parquet::schema::types::Type;
use local::stack::{BUCKET, Stack};
use shared::blob::Bucket;
use shared::id::EventId;
use shared::published::of_attempt;
use shared::time::UnixMillis;

use super::world::World;

/// What is read of each row.
const COLUMNS: [&str; 3] = ["id", "type", "occurred_at"];

/// Merges what is staged and holds it against the attempts and the events of the feed, which are as they must be; what is
/// wrong.
pub(super) async fn differences(world: &World, stack: &Stack, events: Vec<(EventId, UnixMillis)>) -> Option<String> {
    let mut expected: HashMap<EventId, UnixMillis> = events.into_iter().collect();
    for life in world.numbers().map(|n| world.life(n)) {
        expected.extend(of_attempt(&life.key, &life.expected).into_iter().map(|event| (event.id, event.at)));
    }
    let count = expected.len();
    let compacted = stack.warehouse().compact(None).await.unwrap();
    let bucket = Bucket::new(stack.engines().s3(), BUCKET);
    let keys = bucket.keys(::warehouse::FILES, None).await.unwrap();
    let (mut bytes, files) = (0, keys.len());
    for key in keys {
        let file = bucket.get(&key).await.unwrap();
        bytes += file.len();
        let reader = SerializedFileReader::new(file).unwrap();
        let whole = reader.metadata().file_metadata().schema();
        let fields =
            whole.get_fields().iter().filter(|field| COLUMNS.contains(&field.name())).map(Arc::clone).collect();
        let columns = Type::group_type_builder(whole.name()).with_fields(fields).build().unwrap();
        for row in reader.get_row_iter(Some(columns)).unwrap() {
            let row = row.unwrap();
            let (id, at) = (row.get_string(0).unwrap(), UnixMillis(row.get_timestamp_millis(2).unwrap()));
            let kind = row.get_string(1).unwrap();
            match expected.remove(&id.parse().unwrap()) {
                Some(known) if known == at => {}
                Some(known) => return Some(format!("{kind} {id} is at {at:?} instead of {known:?} in {key}")),
                None => return Some(format!("{kind} {id} of {key} is there twice, or never happened")),
            }
        }
    }
    println!("{count} events in {files} Parquet files of {} MiB ({compacted:?})", bytes >> 20);
    let missing = expected.len();
    expected.into_iter().next().map(|(id, at)| format!("{missing} events are not in the files, such as {id} at {at:?}"))
}
