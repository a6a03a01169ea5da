//! An audience is laid in the bucket page by page; a run that is cut off is repeated and ends in the same objects, and the
//! campaign's row only grows.

use std::collections::BTreeMap;

use local::engines::Engines;
use shared::blob::audience::{Laid, NotLaid, Progress, from_memory, lay, lines_of};
use shared::blob::key;
use shared::campaign::audience::{AudienceSource, Columns, HeldOut, Line, NumberedLine, Recipient, Skipped};
use shared::campaign::planner::{PART_LINES, Planner, Rules};
use shared::campaign::{Campaign, Message, PageNumber, Planning, Variant};
use shared::id::UploadId;
use shared::job::{Step, Watch};
use shared::price::Regions;
use shared::store::StoreError;

use crate::campaigns::campaign;
use crate::{NOW, Tables, WORKSPACE, at_once, campaign_id};

fn rules(holdout_percent: u8) -> Rules {
    let variants = vec![Variant { name: "A".to_owned(), weight: 1, message: Message::text("hi") }];
    Rules { campaign: campaign_id(), variants, holdout_percent }
}

/// So many lines: most of them of two countries, some of them no numbers.
fn lines(n: u64) -> Vec<NumberedLine> {
    let phone = |n: u64| match n % 10 {
        0 => format!("no number {n}"),
        1..=3 => format!("+65812{n:05}"),
        _ => format!("+6012{n:07}"),
    };
    (1..=n).map(|n| (n, Ok(Line { phone: phone(n), name: None, variables: BTreeMap::new() }))).collect()
}

/// Everything in the bucket.
async fn objects(engines: &Engines) -> BTreeMap<String, Vec<u8>> {
    let client = engines.s3();
    let mut found = BTreeMap::new();
    let mut pages = client.list_objects_v2().bucket("bucket").into_paginator().send();
    while let Some(page) = pages.next().await {
        for object in page.unwrap().contents() {
            let key = object.key().unwrap().to_owned();
            let body = client.get_object().bucket("bucket").key(&key).send().await.unwrap().body;
            found.insert(key, body.collect().await.unwrap().to_vec());
        }
    }
    found
}

/// Stops when it sees fifty pages, as if the process died.
struct Dying;

impl Watch<Progress> for Dying {
    async fn look(&mut self, progress: &Progress) -> Result<Step, StoreError> {
        Ok(if progress.pages >= 50 { Step::Stop } else { Step::On })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_cut_off_is_repeated_to_the_same_bytes() {
    let tables = Tables::new().await;
    let bucket = tables.bucket().await;
    let ids = (WORKSPACE, campaign_id());
    let cut = lay(&bucket, ids, Planner::new(rules(10)), from_memory(lines(13_000)), &mut Dying).await;
    assert!(matches!(cut, Err(NotLaid::Stopped)));
    let left = objects(&tables.engines).await;
    assert!(left.len() >= 50, "{} objects", left.len());
    let laid = lay(&bucket, ids, Planner::new(rules(10)), from_memory(lines(13_000)), &mut ()).await.unwrap();
    let whole = objects(&tables.engines).await;
    assert!(left.iter().all(|(key, body)| whole[key] == *body), "what was there was not changed");
    let again = lay(&bucket, ids, Planner::new(rules(10)), from_memory(lines(13_000)), &mut ()).await.unwrap();
    assert_eq!(laid, again);
    assert!(objects(&tables.engines).await == whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_and_lists_hold_every_line_once() {
    let tables = Tables::new().await;
    let bucket = tables.bucket().await;
    let ids = (WORKSPACE, campaign_id());
    let Laid { progress, first_skipped, regions } =
        lay(&bucket, ids, Planner::new(rules(30)), from_memory(lines(13_000)), &mut ()).await.unwrap();
    assert_eq!(progress.lines, 13_000);
    assert_eq!(progress.planned + progress.skipped + progress.held_out, 13_000);
    assert_eq!((progress.skipped, first_skipped.len()), (1_300, 1_000));
    assert_eq!(regions.keys().collect::<Vec<_>>(), ["MY", "SG"]);
    assert_eq!(regions.values().sum::<u32>(), progress.planned, "everybody lives in one region");
    let mut planned = 0;
    for page in 0..progress.pages {
        let body = bucket.get(&key::audience_page(WORKSPACE, campaign_id(), PageNumber(page))).await.unwrap();
        planned += serde_json::from_slice::<Vec<Recipient>>(&body).unwrap().len();
    }
    assert_eq!(planned, progress.planned as usize);
    let parts = |n: u32| n.div_ceil(u32::try_from(PART_LINES).unwrap());
    let (mut skipped, mut held_out): (Vec<Skipped>, Vec<HeldOut>) = (Vec::new(), Vec::new());
    for part in 0..parts(progress.skipped) {
        skipped.extend(bucket.ndjson::<Skipped>(&key::skipped(WORKSPACE, campaign_id(), part)).await.unwrap());
    }
    for part in 0..parts(progress.held_out) {
        held_out.extend(bucket.ndjson::<HeldOut>(&key::held_out(WORKSPACE, campaign_id(), part)).await.unwrap());
    }
    assert_eq!((skipped.len(), held_out.len()), (1_300, progress.held_out as usize));
    assert!(skipped.iter().zip(1_u64..).all(|(line, n)| line.line == n * 10));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_campaigns_audience_is_its_recipients_and_those_held_out() {
    let tables = Tables::new().await;
    let bucket = tables.bucket().await;
    let ids = (WORKSPACE, campaign_id());
    let Laid { progress, .. } =
        lay(&bucket, ids, Planner::new(rules(30)), from_memory(lines(3_000)), &mut ()).await.unwrap();
    let original = Campaign { pages: progress.pages, holdout: progress.held_out, ..campaign(campaign_id(), WORKSPACE) };
    tables.core.create_campaign(&original).await.unwrap();
    let source = AudienceSource::Campaign { workspace: WORKSPACE, campaign: original.id };
    let lines = lines_of(&tables.core, &bucket, WORKSPACE, &source).await.unwrap();
    let copy = Rules { campaign: "cmp_01J00000000000000000000001".parse().unwrap(), ..rules(0) };
    let copied = lay(&bucket, (WORKSPACE, copy.campaign), Planner::new(copy), lines, &mut ()).await.unwrap();
    assert_eq!((copied.progress.planned, copied.progress.skipped), (2_700, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_read_in_the_version_that_was_named() {
    let tables = Tables::new().await;
    let bucket = tables.bucket().await;
    let key = key::upload(WORKSPACE, UploadId::new(NOW));
    let csv = |from: u32| {
        let lines: String = (from..from + 30_000).map(|n| format!("+6012{n:07},\"Ipoh, Perak\"\r\n")).collect();
        format!("Mobile,City\r\n{lines}")
    };
    bucket.put(&key, csv(0), "text/csv").await.unwrap();
    let etag = bucket.head(&key).await.unwrap().etag;
    assert!(etag.is_some());
    let columns = Columns::from([("phone".to_owned(), "Mobile".to_owned())]);
    let source = AudienceSource::Csv { key: key.clone(), etag, columns };
    let ids = (WORKSPACE, campaign_id());
    let lines = lines_of(&tables.core, &bucket, WORKSPACE, &source).await.unwrap();
    let laid = lay(&bucket, ids, Planner::new(rules(0)), lines, &mut ()).await.unwrap();
    assert_eq!((laid.progress.lines, laid.progress.planned, laid.progress.pages), (30_000, 30_000, 300));

    bucket.put(&key, csv(1), "text/csv").await.unwrap();
    let lines = lines_of(&tables.core, &bucket, WORKSPACE, &source).await.unwrap();
    let error = lay(&bucket, ids, Planner::new(rules(0)), lines, &mut ()).await.unwrap_err();
    assert!(matches!(&error, NotLaid::Lines(error) if !error.is_temporary()), "{error}");
    assert!(error.to_string().contains("replaced"), "{error}");
}

#[tokio::test]
async fn a_campaigns_counts_grow_and_its_planning_ends_once() {
    let tables = Tables::new().await;
    let source = AudienceSource::Campaign { workspace: WORKSPACE, campaign: campaign_id() };
    let planning = Planning { source, lines: 0, start_early: false, failed: None };
    let draft = Campaign { planning: Some(planning), recipients: 0, ..campaign(campaign_id(), WORKSPACE) };
    tables.core.create_campaign(&draft).await.unwrap();
    let at = |lines: u64| Progress {
        lines,
        planned: u32::try_from(lines).unwrap() - 20,
        skipped: 15,
        held_out: 5,
        pages: u32::try_from(lines / 100).unwrap(),
    };
    // A second run repeats what the first has done.
    for lines in [1_000, 3_000, 2_000, 1_000, 4_000, 3_500] {
        let stored = tables.core.plan_on(WORKSPACE, draft.id, &at(lines)).await.unwrap().unwrap();
        assert!(stored.planning.unwrap().lines >= lines);
    }
    let stored = tables.core.campaign(WORKSPACE, draft.id).await.unwrap().unwrap();
    assert_eq!((stored.recipients, stored.skipped, stored.holdout, stored.pages), (4_000, 15, 5, 40));
    assert_eq!(stored.planned(), 3_980);

    let ended = at_once(5, |_| {
        let core = tables.another_core();
        async move { core.planned(WORKSPACE, campaign_id(), &at(5_000), &Regions::new()).await.unwrap() }
    })
    .await;
    assert_eq!(ended.into_iter().filter(|ended| *ended).count(), 1);
    assert!(tables.core.plan_on(WORKSPACE, draft.id, &at(4_000)).await.unwrap().is_none(), "it is planned");
    assert!(!tables.core.planning_failed(WORKSPACE, draft.id, "late").await.unwrap());
    let stored = tables.core.campaign(WORKSPACE, draft.id).await.unwrap().unwrap();
    assert_eq!((stored.planning, stored.recipients, stored.pages), (None, 5_000, 50));
}
