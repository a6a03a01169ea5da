//! What happens in a flood as it comes in: notifications in Meta's shape, and clicks as `redirect` queues them.

use std::fmt::Write as _;

use shared::activity::Click;
use shared::attempt::callback;
use shared::link::code::LinkId;
use shared::queue::Inbound;

use super::world::{CAMPAIGNS, Life, Reply, Status, Update, Visit, WORKSPACE, World};

/// Meta's ids of the two numbers and of their business accounts.
pub(crate) const NUMBERS: [(&str, &str); 2] =
    [("107853902081001", "104996122399001"), ("107853902081002", "104996122399002")];

/// A person in WhatsApp's own browser on Android.
pub(crate) const PERSON: &str = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/142.0.0.0 Mobile Safari/537.36 [WA4A/2.25.32.75;]";

/// WhatsApp's own fetcher of previews.
const PREVIEW: &str = "WhatsApp/2.23.20.0 A";

/// The version of WhatsApp that it names.
pub(crate) const WHATSAPP: &str = "2.25.32.75";

/// Where an update is: whose, and its place among theirs.
pub(crate) type Place = (u32, u8);

/// The lists of one change.
#[derive(Default)]
struct Lists {
    contacts: String,
    statuses: String,
    messages: String,
}

/// The body of a notification with these updates, compact as on the wire.
pub(crate) fn notification(world: &World, places: &[Place]) -> String {
    let mut lists = [Lists::default(), Lists::default()];
    let mut more = String::new();
    for (n, k) in places {
        let life = world.life(*n);
        let of_account = &mut lists[life.account];
        match &life.updates[usize::from(*k)] {
            Update::Status(status) => {
                contact(&mut of_account.contacts, &life);
                comma(&mut of_account.statuses);
                write_status(&mut of_account.statuses, &life, status);
            }
            Update::Reply(reply) => {
                contact(&mut of_account.contacts, &life);
                comma(&mut of_account.messages);
                write_message(&mut of_account.messages, &life, reply);
            }
            Update::Broken => {
                comma(&mut of_account.statuses);
                of_account.statuses.push_str(&broken(*n));
            }
            Update::Unknown => {
                let (waba, time, value) = (NUMBERS[life.account].1, unknown_at_s(&life), unknown(*n));
                let change = format!(r#"{{"field":"brand_new_field","value":{value}}}"#);
                let _ = write!(more, r#",{{"id":"{waba}","time":{time},"changes":[{change}]}}"#);
            }
        }
    }
    let mut entries = String::new();
    for (Lists { contacts, statuses, messages }, (number, waba)) in lists.iter().zip(NUMBERS) {
        if statuses.is_empty() && messages.is_empty() {
            continue;
        }
        let metadata = format!(r#"{{"display_phone_number":"15550783881","phone_number_id":"{number}"}}"#);
        let mut value = format!(r#"{{"messaging_product":"whatsapp","metadata":{metadata},"contacts":[{contacts}]"#);
        for (name, list) in [("statuses", statuses), ("messages", messages)] {
            if !list.is_empty() {
                let _ = write!(value, r#","{name}":[{list}]"#);
            }
        }
        comma(&mut entries);
        let _ = write!(entries, r#"{{"id":"{waba}","changes":[{{"value":{value}}},"field":"messages"}}]}}"#);
    }
    let entries = format!("{entries}{more}");
    let entries = entries.trim_start_matches(',');
    format!(r#"{{"object":"whatsapp_business_account","entry":[{entries}]}}"#)
}

fn comma(list: &mut String) {
    if !list.is_empty() {
        list.push(',');
    }
}

fn contact(list: &mut String, life: &Life) {
    comma(list);
    let person = life.n / CAMPAIGNS;
    let digits = World::digits(person);
    let _ = write!(
        list,
        r#"{{"profile":{{"name":"Person {person}"}},"wa_id":"{digits}","user_id":"MY.2018473659102837{person:06}"}}"#
    );
}

fn write_status(list: &mut String, life: &Life, Status { number, wamid, kind, at_s, code, priced }: &Status) {
    let person = life.n / CAMPAIGNS;
    let (digits, callback) = (World::digits(person), callback::write(&life.key, *number));
    let _ = write!(
        list,
        r#"{{"id":"{wamid}","status":"{kind}","timestamp":"{at_s}","recipient_id":"{digits}","recipient_user_id":"MY.2018473659102837{person:06}","biz_opaque_callback_data":"{callback}""#
    );
    if *priced {
        list.push_str(r#","pricing":{"billable":true,"pricing_model":"PMP","category":"marketing","type":"regular"}"#);
    }
    if let Some(code) = code {
        let _ = write!(
            list,
            r#","errors":[{{"code":{code},"title":"Not delivered","message":"Not delivered","error_data":{{"details":"Reason {code}"}}}}]"#
        );
    }
    list.push('}');
}

fn write_message(list: &mut String, life: &Life, Reply { wamid, at_s, quotes, text }: &Reply) {
    let digits = World::digits(life.n / CAMPAIGNS);
    let body = serde_json::to_string(text).unwrap();
    let _ = write!(
        list,
        r#"{{"from":"{digits}","id":"{wamid}","timestamp":"{at_s}","type":"text","text":{{"body":{body}}}"#
    );
    if let Some(quoted) = quotes {
        let _ = write!(list, r#","context":{{"from":"15550783881","id":"{quoted}"}}"#);
    }
    list.push('}');
}

/// A status that cannot be read, as it is quarantined.
pub(crate) fn broken(n: u32) -> String {
    format!(r#"{{"id":"wamid.broken.{n}","status":"sent"}}"#)
}

/// The value of a field that is not known.
pub(crate) fn unknown(n: u32) -> String {
    format!(r#"{{"of":{n}}}"#)
}

/// When Meta made it.
pub(crate) fn unknown_at_s(life: &Life) -> i64 {
    life.left_s + 30
}

/// The link of a campaign: its number in the deployment.
pub(crate) fn link(campaign: u32) -> LinkId {
    LinkId::new(1_000 + campaign).unwrap()
}

/// A click as `redirect` queues it.
pub(crate) fn click(world: &World, life: &Life, visit: &Visit) -> String {
    let click = Click {
        id: visit.id,
        link: link(life.n % CAMPAIGNS),
        workspace: WORKSPACE,
        account: Some(world.accounts[life.account]),
        campaign: Some(life.key.campaign),
        recipient: Some((life.key.shard, life.key.seq)),
        at: visit.at,
        method: "GET".to_owned(),
        user_agent: Some(if visit.human { PERSON } else { PREVIEW }.to_owned()),
        ip: None,
        country: Some("MY".to_owned()),
        region: None,
        city: None,
        asn: None,
        hints_mobile: None,
        hints_platform: None,
        hints_brands: None,
        referrer: None,
        prefetch: false,
        mark: None,
        visitor: None,
    };
    serde_json::to_string(&Inbound::Click(Box::new(click))).unwrap()
}
