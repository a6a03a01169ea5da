//! An import ends with the same contacts and counts wherever it is cut off.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use shared::blob::audience::{CsvFile, from_memory};
use shared::blob::{Bucket, key};
use shared::campaign::audience::{Line, Skipped, read_csv};
use shared::id::ImportId;
use shared::import::run::{NotImported, run};
use shared::import::{Import, ImportStatus};
use shared::job::{Step, Watch};
use shared::store::{Core, StoreError};

use crate::{NOW, Tables, WORKSPACE};

/// 2,500 lines: every fifth one repeats the number of an earlier one, every seventh is none.
fn file() -> String {
    let lines = (0..2_500).map(|n| match n {
        _ if n % 7 == 6 => format!("no number {n},x,\n"),
        _ if n % 5 == 4 => format!("+6012{:07},x,\n", n - 1),
        _ => format!("+6012{n:07},Person {n},{}\n", if n % 2 == 0 { "yes" } else { "no" }),
    });
    format!("phone,name,opt_in\n{}", lines.collect::<String>())
}

fn csv() -> CsvFile {
    let lines = from_memory(read_csv(&file()).unwrap());
    let bytes = file().len() as u64;
    CsvFile { lines, bytes, read: Arc::new(AtomicU64::new(bytes)) }
}

/// Stops after the first batch beyond these, as if the process died.
struct DyingAfter(u32);

impl Watch<Import> for DyingAfter {
    async fn look(&mut self, import: &Import) -> Result<Step, StoreError> {
        Ok(if import.batches > self.0 { Step::Stop } else { Step::On })
    }
}

async fn rejects(bucket: &Bucket, import: &Import) -> Vec<Skipped> {
    let mut all = Vec::new();
    for batch in 0..import.batches {
        all.extend(bucket.ndjson(&key::import_rejected(WORKSPACE, import.id, batch)).await.unwrap());
    }
    all
}

async fn accepted(bucket: &Bucket, import: &Import) -> Vec<(u64, Line)> {
    let mut all = Vec::new();
    for batch in 0..import.batches {
        all.extend(bucket.ndjson(&key::import_accepted(WORKSPACE, import.id, batch)).await.unwrap());
    }
    all
}

async fn whole(core: &Core, bucket: &Bucket, id: ImportId) -> Import {
    let import = Import::new(id, WORKSPACE, NOW);
    core.create_import(&import).await.unwrap();
    run(core, bucket, import, csv(), &mut ()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_has_one_verdict_and_every_reject_its_reason() {
    let tables = Tables::new().await;
    let bucket = tables.bucket().await;
    let import = whole(&tables.core, &bucket, ImportId::new(NOW)).await;
    assert_eq!((import.status, import.lines, import.batches), (ImportStatus::Completed, 2_500, 3));
    assert_eq!(import.created + import.updated + import.duplicates + import.rejected, 2_500);
    assert_eq!((import.updated, import.rejected), (0, 357));
    assert_eq!(import.errors.len(), 100);
    let rejects = rejects(&bucket, &import).await;
    assert_eq!(rejects.len() as u64, import.duplicates + import.rejected);
    assert_eq!((rejects[0].line, rejects[0].reason.as_str()), (6, "the number is on line 5 already"));
    assert_eq!((rejects[1].line, rejects[1].phone.as_str()), (8, "no number 6"));
    assert_eq!(accepted(&bucket, &import).await.len() as u64, import.created);
    assert_eq!(tables.core.import(WORKSPACE, import.id).await.unwrap().unwrap(), import);
    let consents = tables.core.consents(WORKSPACE, &["60120000000", "60120000001"]).await.unwrap();
    assert!(consents["60120000000"].is_opted_in() && !consents["60120000001"].is_opted_in());

    let second = whole(&tables.core, &bucket, ImportId::new(NOW)).await;
    assert_eq!((second.created, second.updated, second.duplicates), (0, import.created, import.duplicates));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_cut_off_after_every_batch_ends_as_if_it_were_not() {
    let tables = Tables::new().await;
    let bucket = tables.bucket().await;
    let import = Import::new(ImportId::new(NOW), WORKSPACE, NOW);
    tables.core.create_import(&import).await.unwrap();
    let mut cuts = 0;
    let done = loop {
        let there = tables.core.import(WORKSPACE, import.id).await.unwrap().unwrap();
        let mut dying = DyingAfter(there.batches);
        match run(&tables.core, &bucket, there, csv(), &mut dying).await {
            Ok(done) => break done,
            Err(NotImported::Stopped) => cuts += 1,
            Err(error) => panic!("{error}"),
        }
        assert!(cuts < 10);
    };
    let another = Tables::new().await;
    let bucket_of_another = another.bucket().await;
    let reference = whole(&another.core, &bucket_of_another, import.id).await;
    let counts = |import: &Import| (import.lines, import.created, import.updated, import.duplicates, import.rejected);
    assert_eq!(counts(&done), counts(&reference));
    assert_eq!(done.errors, reference.errors);
    assert_eq!(rejects(&bucket, &done).await, rejects(&bucket_of_another, &reference).await);
    assert!(accepted(&bucket, &done).await == accepted(&bucket_of_another, &reference).await);
    assert_eq!(cuts, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_done_twice_counts_once() {
    let tables = Tables::new().await;
    let bucket = tables.bucket().await;
    let import = Import::new(ImportId::new(NOW), WORKSPACE, NOW);
    tables.core.create_import(&import).await.unwrap();
    // Both begin before the first batch; the slower one finds that it was overtaken.
    let (mut one, mut other) = ((), ());
    let (first, second) = tokio::join!(
        run(&tables.core, &bucket, import.clone(), csv(), &mut one),
        run(&tables.core, &bucket, import.clone(), csv(), &mut other),
    );
    assert!(first.is_ok() || second.is_ok());
    let stored = tables.core.import(WORKSPACE, import.id).await.unwrap().unwrap();
    assert_eq!((stored.status, stored.lines, stored.updated), (ImportStatus::Completed, 2_500, 0));
}
