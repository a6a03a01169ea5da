//! Erasing and exporting a person, as `dispatch` does both: what the operator sends to everybody stays, what cannot be read
//! ends nothing, and what is another workspace's is not touched.

use aws_lambda_events::event::sqs::{SqsEvent, SqsMessage};
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use dispatch::{Config, Dispatch, handle};
use serde_json::{Value, json};
use shared::archive::{self, Line};
use shared::aws::Clients;
use shared::blob::{Bucket, key};
use shared::campaign::{Campaign, CampaignLink, PageNumber};
use shared::config::Settings;
use shared::erasure::found::{Found, find};
use shared::erasure::object::{Kind, NotErased, erase};
use shared::erasure::search::{MOST_BYTES, Object, Search};
use shared::erasure::{Erasure, Names, Person, Status};
use shared::export::Export;
use shared::id::{ContactId, ErasureId, ExportId, UploadId, WorkspaceId, ulid_at};
use shared::link::code::LinkId;
use shared::queue::DispatchCommand;
use shared::secrets::Secrets;
use shared::store::keys;
use shared::time::UnixMillis;

use crate::accounts::account;
use crate::campaigns::campaign;
use crate::links::free;
use crate::{NOW, Tables, WORKSPACE, campaign_id};

const DIGITS: &str = "60123456789";

/// Leads to the person, and to a number of the operator's for all that we can know.
const URL: &str = "https://wa.me/60123456789";

const DAMAGED_FILE: &str = "events/parquet/date=2026-09-21/14.parquet";
const DAMAGED_OBJECT: &str = "archive/raw/date=2026-09-21/hour=14/0.ndjson.zst";

fn contact() -> ContactId {
    "ctc_01J00000000000000000000000".parse().unwrap()
}

fn person() -> Person {
    Person { contacts: [contact()].into(), digits: [DIGITS.to_owned()].into(), ..Person::default() }
}

fn names() -> Names {
    Names::of([&person()]).unwrap()
}

struct World {
    tables: Tables,
    bucket: Bucket,
    dispatch: Dispatch,
}

impl World {
    async fn new() -> Self {
        let tables = Tables::new().await;
        let bucket = tables.bucket().await;
        let engines = &tables.engines;
        let clients = Clients { dynamodb: engines.dynamodb(), sqs: engines.sqs(), s3: engines.s3() };
        let queue = clients.sqs.create_queue().queue_name("dispatch").send().await.unwrap().queue_url.unwrap();
        let values = [
            ("CORE_TABLE", "core"),
            ("ROLLUP_TABLE", "rollup"),
            ("BUCKET", "bucket"),
            ("SEND_QUEUE_URL", &queue),
            ("DISPATCH_QUEUE_URL", &queue),
            ("ERASURE_SETTLES_AFTER_S", "0"),
        ];
        let settings = Settings::from_values(values.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let dispatch = Dispatch::new(Config::read(settings).unwrap(), &clients, Secrets::in_memory()).unwrap();
        Self { tables, bucket, dispatch }
    }

    /// Works on the job to its end.
    async fn work(&self, command: DispatchCommand) {
        self.tables.core.open_job(&command, UnixMillis::now()).await.unwrap();
        let mut message = SqsMessage::default();
        message.message_id = Some("m".to_owned());
        message.body = Some(serde_json::to_string(&command).unwrap());
        let mut event = SqsEvent::default();
        event.records = vec![message];
        let answer = handle(&self.dispatch, serde_json::to_value(event).unwrap()).await.unwrap();
        assert_eq!(answer["batchItemFailures"], json!([]));
    }

    async fn erased(&self) -> Erasure {
        let (id, asked_at) = (ErasureId::from_ulid(ulid_at(NOW)), NOW);
        let erasure = Erasure {
            v: 1,
            id,
            workspace: WORKSPACE,
            contacts: [contact()].into(),
            person: Some(person()),
            status: Status::Pending,
            asked_at,
            completed_at: None,
            passes: Vec::new(),
            between: None,
        };
        self.tables.core.ask_erasure(&erasure).await.unwrap();
        self.work(DispatchCommand::Erase { workspace: WORKSPACE }).await;
        let erasure = self.tables.core.erasure(WORKSPACE, id).await.unwrap().unwrap();
        assert_eq!(erasure.status, Status::Complete);
        erasure
    }

    async fn exported(&self) -> Value {
        let now = UnixMillis::now();
        let export = Export::new(ExportId::new(now), WORKSPACE, contact(), person(), now);
        self.tables.core.begin_export(&export, now).await.unwrap();
        self.work(DispatchCommand::Export { workspace: WORKSPACE, contact: contact() }).await;
        let export = self.tables.core.export(WORKSPACE, contact()).await.unwrap().unwrap();
        assert!(export.completed_at.is_some());
        serde_json::from_slice(&self.bucket.get(&key::export(WORKSPACE, export.id)).await.unwrap()).unwrap()
    }

    /// A page of an audience that names the person and somebody else; its key.
    async fn page(&self) -> String {
        let line = |seq: u32, phone: &str| json!({"seq": seq, "phone": phone, "variant": 0});
        let page = json!([line(0, "+60123456789"), line(1, "+60123456780")]);
        let key = key::audience_page(WORKSPACE, campaign_id(), PageNumber(0));
        self.bucket.put(&key, page.to_string(), "application/json").await.unwrap();
        key
    }

    fn search(&self, most_bytes: u64) -> Search<'_> {
        Search { core: &self.tables.core, bucket: &self.bucket, workspace: WORKSPACE, most_bytes }
    }
}

fn object(key: &str) -> Object {
    Object { key: key.to_owned(), kind: Kind::of(key).unwrap(), region: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_leaves_what_the_operator_sends_to_everybody_and_counts_it() {
    let world = World::new().await;
    let core = &world.tables.core;
    let links = vec![CampaignLink { id: LinkId::new(8).unwrap(), link_id: None, url: URL.to_owned() }];
    let campaign = Campaign { links, ..campaign(campaign_id(), WORKSPACE) };
    core.create_campaign(&campaign).await.unwrap();
    let link = shared::link::Link { url: URL.to_owned(), ..free(7, 0, Some("call-60123456789")) };
    core.create_free_link(&link).await.unwrap();
    let page = world.page().await;

    let erasure = world.erased().await;
    let last = erasure.passes.last().unwrap();
    assert_eq!(last.left, [("campaigns".to_owned(), 1), ("links".to_owned(), 1)].into());
    assert!(erasure.passes[0].erased.contains_key("audiences_and_imports") && last.is_clean());
    assert!(core.campaign(WORKSPACE, campaign.id).await.unwrap() == Some(campaign));
    assert_eq!(core.link(link.id).await.unwrap().as_ref(), Some(&link));
    assert_eq!(core.link_behind(&link.site(), link.alias.as_ref().unwrap()).await.unwrap(), Some(link.id));
    assert!(!names().are_in(std::str::from_utf8(&world.bucket.get(&page).await.unwrap()).unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_ends_neither_an_export_nor_an_erasure_and_is_told() {
    let world = World::new().await;
    world.page().await;
    for key in [DAMAGED_FILE, DAMAGED_OBJECT] {
        world.bucket.put(key, "neither Parquet nor zstd", "application/octet-stream").await.unwrap();
    }
    // No row of ours has bytes, so an export cannot show it.
    let mut row = keys::contact(WORKSPACE, contact()).item();
    row.insert("x".to_owned(), AttributeValue::B(Blob::new([0xff])));
    world.tables.engines.dynamodb().put_item().table_name("core").set_item(Some(row)).send().await.unwrap();

    let export = world.exported().await;
    assert_eq!(export["held"]["audiences_and_imports"].as_array().unwrap().len(), 1, "{export:#}");
    let expected = json!({
        "contacts": {"count": 1},
        "raw_archive": {"count": 1, "objects": [DAMAGED_OBJECT]},
        "published_events": {"count": 1, "objects": [DAMAGED_FILE]},
    });
    assert_eq!(export["unreadable"], expected);

    let erasure = world.erased().await;
    let last = erasure.passes.last().unwrap();
    assert_eq!(last.unreadable, [("published_events".to_owned(), 1), ("raw_archive".to_owned(), 1)].into());
    assert!(erasure.passes[0].erased.contains_key("audiences_and_imports"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_in_for_another_workspace_is_neither_shown_nor_erased() {
    let world = World::new().await;
    let other = WorkspaceId::new(NOW);
    let theirs = shared::account::Account { workspace: other, ..account("2") };
    world.tables.core.create_account(&account("1")).await.unwrap();
    let waba_id = "3".to_owned();
    assert!(world.tables.core.create_account(&shared::account::Account { waba_id, ..theirs }).await.unwrap());
    let change = |number: &str| {
        let message = json!({"from": DIGITS, "id": "x"});
        json!({"value": {"metadata": {"phone_number_id": number}, "messages": [message]}})
    };
    let line = |changes: &[Value]| {
        let body = json!({"object": "whatsapp_business_account", "entry": [{"id": "3", "changes": changes}]});
        Line::of_meta("m".to_owned(), NOW, body.to_string())
    };
    let written = [line(&[change("2")]), line(&[change("1"), change("2")])];
    let key = "archive/raw/date=2026-09-21/hour=14/1.ndjson.zst";
    world.bucket.put(key, archive::compress(&written).unwrap(), "application/zstd").await.unwrap();

    let search = world.search(MOST_BYTES);
    let found = find(&search, &object(key), &names()).await.unwrap();
    let [Found::Record(record)] = &found[..] else { panic!("{found:?}") };
    assert_eq!(record["body"]["entry"][0]["changes"], json!([change("1")]));
    assert!(erase(&search, &object(key), &names()).await.unwrap());
    let left = world.bucket.get(key).await.unwrap();
    let left: Vec<Line> = archive::lines(&left).unwrap().map(Result::unwrap).collect();
    let ours = json!({"value": {"metadata": {"phone_number_id": "1"}, "messages": []}});
    assert_eq!(left[0], written[0]);
    assert_eq!(
        serde_json::from_slice::<Value>(&left[1].body).unwrap()["entry"][0]["changes"],
        json!([ours, change("2")])
    );
    assert!(!erase(&search, &object(key), &names()).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_too_large_for_memory_is_looked_through_and_written_again_line_by_line() {
    let world = World::new().await;
    let key = key::upload(WORKSPACE, UploadId::new(NOW));
    let others = |from: u32| (from..from + 40).map(|n| format!("6013{n:07},Nobody\r\n")).collect::<String>();
    let theirs = format!("{DIGITS},Aisha\r\n");
    let file = format!("phone,name\r\n{}{theirs}{}{DIGITS}", others(0), others(40));
    world.bucket.put(&key, file, "text/csv").await.unwrap();
    // Ranges of this size end anywhere in a line.
    let (search, upload) = (world.search(61), object(&key));
    let found = find(&search, &upload, &names()).await.unwrap();
    let shown = |line: u64, text: &str| Found::Record(json!({"line": line, "text": text}));
    assert_eq!(found, [shown(42, "60123456789,Aisha"), shown(83, DIGITS)]);
    assert!(erase(&search, &upload, &names()).await.unwrap());
    let left = world.bucket.get(&key).await.unwrap();
    assert_eq!(std::str::from_utf8(&left).unwrap(), format!("phone,name\r\n{}{}", others(0), others(40)));
    let version = world.bucket.head(&key).await.unwrap();
    assert!(!erase(&search, &upload, &names()).await.unwrap());
    assert_eq!(world.bucket.head(&key).await.unwrap(), version, "a file that names nobody is not written again");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_and_cannot_be_cut_into_lines_is_told_and_an_export_of_that_size_goes() {
    let world = World::new().await;
    let search = world.search(61);
    let page = key::audience_page(WORKSPACE, campaign_id(), PageNumber(0));
    let (upload, export) = (key::upload(WORKSPACE, UploadId::new(NOW)), key::export(WORKSPACE, ExportId::new(NOW)));
    for key in [DAMAGED_OBJECT, &page, &upload, &export] {
        world.bucket.put(key, "x".repeat(200), "text/plain").await.unwrap();
    }
    for key in [DAMAGED_OBJECT, &page, &upload] {
        let not_erased = erase(&search, &object(key), &names()).await.unwrap_err();
        assert!(matches!(not_erased, NotErased::TooLarge { bytes: 200 }) && not_erased.is_permanent(), "{not_erased}");
        assert!(find(&search, &object(key), &names()).await.unwrap_err().is_permanent());
    }
    assert!(erase(&search, &object(&export), &names()).await.unwrap());
    assert!(world.bucket.head(&export).await.is_err());
}
