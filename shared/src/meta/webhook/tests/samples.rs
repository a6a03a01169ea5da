//! Every sample body: which events it becomes, what the important ones look like in full, and that the way of writing
//! the JSON does not matter.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::*;

/// What each sample becomes: the kinds of its items in order, for messages with the type of the content.
const EXPECTED: &[(&str, &[&str])] = &[
    ("account-alert", &["account_alert"]),
    ("account-review", &["account_review"]),
    ("account-update-disabled", &["account_update"]),
    ("account-update-restriction", &["account_update"]),
    ("account-update-volume-tier", &["account_update"]),
    ("batch-mixed", &["status delivered", "status sent", "message text", "status failed"]),
    ("business-capability", &["capability"]),
    ("calls-connect", &["call"]),
    ("calls-terminate", &["call"]),
    ("group-join-request", &["group_join_request"]),
    ("group-lifecycle-create", &["group_lifecycle"]),
    ("group-participants-add", &["group_participants"]),
    ("group-participants-remove", &["group_participants"]),
    ("group-settings", &["group_settings"]),
    ("group-status-suspend", &["group_status"]),
    ("history-chunk", &["history", "history_message", "history_message"]),
    ("in-audio-voice", &["message audio"]),
    ("in-button", &["message button"]),
    ("in-contacts", &["message contacts"]),
    ("in-document", &["message document"]),
    ("in-edit", &["message edit"]),
    ("in-group-text", &["message text"]),
    ("in-image", &["message image"]),
    ("in-interactive-button-reply", &["message button_reply"]),
    ("in-interactive-list-reply", &["message list_reply"]),
    ("in-interactive-nfm-reply", &["message flow_reply"]),
    ("in-location", &["message location"]),
    ("in-order", &["message order"]),
    ("in-reaction", &["message reaction"]),
    ("in-reaction-removed", &["message reaction"]),
    ("in-revoke", &["message revoke"]),
    ("in-sticker", &["message sticker"]),
    ("in-system-number-changed", &["message system"]),
    ("in-system-user-id-changed", &["message system"]),
    ("in-text", &["message text"]),
    ("in-text-bsuid-only", &["message text"]),
    ("in-text-ctwa-referral", &["message text"]),
    ("in-text-forwarded", &["message text"]),
    ("in-text-reply", &["message text"]),
    ("in-unsupported", &["message unsupported"]),
    ("in-video", &["message video"]),
    ("phone-name", &["phone_name"]),
    ("phone-quality-throughput", &["phone_quality"]),
    ("security-pin", &["security"]),
    ("smb-app-state-sync", &["app_contact"]),
    ("smb-message-echo", &["echo"]),
    ("standby-echo", &["standby"]),
    ("status-delivered", &["status delivered"]),
    ("status-failed-131026", &["status failed"]),
    ("status-failed-131049", &["status failed"]),
    ("status-failed-131050", &["status failed"]),
    ("status-failed-132015", &["status failed"]),
    ("status-group-aggregated", &["status delivered", "status delivered"]),
    ("status-played", &["status played"]),
    ("status-read", &["status read"]),
    ("status-read-no-delivered", &["status read"]),
    ("status-sent", &["status sent"]),
    ("status-sent-free-entry-point", &["status sent"]),
    ("status-sent-legacy-cbp", &["status sent"]),
    ("status-sent-service-billable", &["status sent"]),
    ("status-sent-service-free", &["status sent"]),
    ("template-category-completed", &["template_category"]),
    ("template-category-impending", &["template_category"]),
    ("template-components", &["template_components"]),
    ("template-quality", &["template_quality"]),
    ("template-status-approved", &["template_status"]),
    ("template-status-paused", &["template_status"]),
    ("template-status-rejected", &["template_status"]),
    ("unknown-field", &["unknown"]),
    ("user-actions-link-click", &["link_click"]),
    ("user-preferences-stop", &["user_preference"]),
    ("value-errors", &["value_error"]),
];

/// The samples whose reading is pinned in full, because other parts build on it.
const GOLDEN: &[&str] = &[
    "account-update-restriction",
    "batch-mixed",
    "group-participants-remove",
    "history-chunk",
    "in-button",
    "in-edit",
    "in-interactive-nfm-reply",
    "in-system-number-changed",
    "in-text",
    "in-text-ctwa-referral",
    "standby-echo",
    "status-failed-131049",
    "status-group-aggregated",
    "status-sent",
    "status-sent-free-entry-point",
    "template-category-impending",
    "template-status-paused",
    "unknown-field",
    "user-preferences-stop",
];

fn label(event: &Event) -> String {
    let detail = match event {
        Event::Message(message) => serde_json::to_value(&message.content).unwrap()["type"].as_str().unwrap().to_owned(),
        Event::Status(status) => status.status.to_string(),
        _ => return event.kind().to_owned(),
    };
    format!("{} {detail}", event.kind())
}

#[test]
fn every_sample_becomes_the_events_it_describes() {
    let expected: BTreeMap<_, _> = EXPECTED.iter().copied().collect();
    let samples = samples();
    assert_eq!(samples.len(), 72);
    for (name, body) in samples {
        let labels: Vec<String> = items(&body).iter().map(|item| label(&item.event)).collect();
        assert_eq!(
            labels,
            *expected.get(name.as_str()).unwrap_or_else(|| panic!("{name} is not in the table")),
            "{name}"
        );
    }
}

#[test]
fn every_sample_tells_account_and_field() {
    for (name, body) in samples() {
        for item in items(&body) {
            assert!(item.waba_id.is_some() && !item.field.is_empty(), "{name}");
            let tells_number = body.contains("phone_number_id");
            assert_eq!(item.phone_number_id.is_some(), tells_number, "{name}");
            assert_eq!(item.entry_time.is_some(), body.contains("\"time\""), "{name}");
        }
    }
}

#[test]
fn kind_is_the_name_in_the_serialised_form() {
    for (_, body) in samples() {
        for item in items(&body) {
            assert_eq!(serde_json::to_value(&item.event).unwrap()["kind"], item.event.kind());
        }
    }
}

#[test]
fn what_was_read_survives_being_stored() {
    for (name, body) in samples() {
        let notification = parse(body.as_bytes()).unwrap();
        let stored = serde_json::to_string(&notification).unwrap();
        assert_eq!(serde_json::from_str::<Notification>(&stored).unwrap(), notification, "{name}");
    }
}

#[test]
fn readings_equal_the_golden_files() {
    for name in GOLDEN {
        let path = samples_dir().join("golden").join(format!("{name}.json"));
        let reading = serde_json::to_string_pretty(&parse(sample(name).as_bytes()).unwrap()).unwrap() + "\n";
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&path, &reading).unwrap();
        }
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            reading,
            "{name}; rewrite with UPDATE_GOLDEN=1 if the change is intended"
        );
    }
}

/// JSON as Meta writes it: compact, with everything outside ASCII and some of ASCII escaped.
fn as_on_the_wire(body: &str) -> String {
    let compact = serde_json::from_str::<Value>(body).unwrap().to_string();
    let mut wire = String::new();
    for letter in compact.chars() {
        match letter {
            '/' => wire.push_str("\\/"),
            '@' | '%' | '<' => write!(wire, "\\u{:04x}", u32::from(letter)).unwrap(),
            letter if letter.is_ascii() => wire.push(letter),
            letter => letter.encode_utf16(&mut [0; 2]).iter().for_each(|unit| write!(wire, "\\u{unit:04x}").unwrap()),
        }
    }
    wire
}

/// Kept JSON has the writing of the body, so it is compared by value.
fn with_raw_by_value(notification: &Notification) -> Value {
    fn visit(value: &mut Value) {
        match value {
            Value::Array(list) => list.iter_mut().for_each(visit),
            Value::Object(members) => {
                for (key, member) in members {
                    match member.as_str() {
                        Some(text) if key == "raw" => *member = serde_json::from_str(text).unwrap(),
                        _ => visit(member),
                    }
                }
            }
            _ => {}
        }
    }
    let mut value = serde_json::to_value(notification).unwrap();
    visit(&mut value);
    value
}

#[test]
fn escaped_and_plain_json_read_alike() {
    let mut escaped_any = false;
    let accents = sample("in-text").replace("Hi! Is the", "Olá 👍 <a@b.example> 50% / ñ");
    for (name, body) in samples().into_iter().chain([("accents".to_owned(), accents)]) {
        let wire = as_on_the_wire(&body);
        assert!(wire.is_ascii());
        escaped_any |= wire.contains("\\ud83d\\udc4d");
        let (plain, escaped) = (parse(body.as_bytes()).unwrap(), parse(wire.as_bytes()).unwrap());
        assert_eq!(with_raw_by_value(&plain), with_raw_by_value(&escaped), "{name}");
    }
    assert!(escaped_any);
}

#[test]
fn debug_output_shows_nothing_personal() {
    let personal = [
        "16505551234",
        "16505557788",
        "20184736591028374655",
        "wamid.",
        "Dana",
        "Ines",
        "workshop still open",
        "Tell me more",
        "Earlier message",
    ];
    for (name, body) in samples() {
        let shown = format!("{:?}", parse(body.as_bytes()).unwrap());
        for text in personal {
            assert!(!shown.contains(text), "{name} shows {text}");
        }
    }
}
