//! Single members: what the rest of the system relies on, and the shapes Meta is known to vary.

use super::*;

const DANA: &str = "16505551234";

fn message_with(content: &Value) -> InboundMessage {
    let mut message = json!({"from": DANA, "id": "wamid.1", "timestamp": 1_790_000_000});
    message.as_object_mut().unwrap().extend(content.as_object().unwrap().clone());
    match items(&notification("messages", &json!({"messages": [message]}))).remove(0).event {
        Event::Message(message) => *message,
        other => panic!("{other:?}"),
    }
}

fn event_of(field: &str, value: &Value) -> Event {
    let [item] = <[Item; 1]>::try_from(items(&notification(field, value))).unwrap();
    item.event
}

#[test]
fn a_status_has_all_that_attribution_needs() {
    let status = only_status("status-sent");
    assert_eq!(status.status, StatusKind::Sent);
    assert_eq!(status.timestamp_s, 1_790_000_002);
    assert_eq!(status.recipient_id, Some(redacted(DANA)));
    assert_eq!(status.callback_data.as_deref(), Some("cmp-42:rcp-000173"));
    let pricing = status.pricing.unwrap();
    assert_eq!(pricing.billable, Some(true));
    assert_eq!(pricing.model, Some(PricingModel::PerMessage));
    assert_eq!((pricing.category, pricing.kind), (Some(PricingCategory::Marketing), Some(PricingType::Regular)));
}

#[test]
fn a_failed_status_has_its_error() {
    for (name, code) in [("131026", 131_026), ("131049", 131_049), ("131050", 131_050), ("132015", 132_015)] {
        let status = only_status(&format!("status-failed-{name}"));
        assert_eq!(status.status, StatusKind::Failed);
        assert_eq!(status.errors.len(), 1);
        assert_eq!(status.errors[0].code, Some(code));
        assert!(status.errors[0].details.is_some() && status.pricing.is_none());
    }
}

#[test]
fn unknown_words_are_kept_and_the_rest_is_usable() {
    let mut status = status_value(1);
    status["status"] = json!("warning");
    status["pricing"]["category"] = json!("holographic");
    status["pricing"]["type"] = json!("free_moon_phase");
    let Event::Status(status) = event_of("messages", &json!({"statuses": [status]})) else { panic!() };
    assert_eq!(status.status, StatusKind::Other("warning".to_owned()));
    let pricing = status.pricing.unwrap();
    assert_eq!(pricing.category, Some(PricingCategory::Other("holographic".to_owned())));
    assert_eq!(pricing.kind, Some(PricingType::Other("free_moon_phase".to_owned())));
}

#[test]
fn numbers_and_strings_are_interchangeable() {
    let mut status = status_value(1);
    status["timestamp"] = json!(1_790_000_004);
    status["recipient_id"] = json!(16_505_551_234_u64);
    status["errors"] = json!([{"code": "131026", "title": 5}]);
    let Event::Status(status) = event_of("messages", &json!({"statuses": [status]})) else { panic!() };
    assert_eq!(status.timestamp_s, 1_790_000_004);
    assert_eq!(status.recipient_id, Some(redacted(DANA)));
    assert_eq!((status.errors[0].code, status.errors[0].title.as_deref()), (Some(131_026), Some("5")));

    let update =
        json!({"event": "APPROVED", "message_template_id": "88", "message_template_language": "en-US", "reason": null});
    let Event::TemplateStatus(update) = event_of("message_template_status_update", &update) else { panic!() };
    assert_eq!((update.template.id.as_str(), update.template.language.as_deref()), ("88", Some("en_US")));
}

#[test]
fn a_group_status_names_the_member_under_either_key() {
    let Event::Status(status) = items(&sample("status-group-aggregated")).remove(1).event else { panic!() };
    assert_eq!(status.participant_id, Some(redacted("16505557788")));
    assert_eq!(status.recipient_type.as_deref(), Some("group"));

    let mut status = status_value(1);
    status["participant_recipient_id"] = json!(DANA);
    let pricing = status["pricing"].take();
    status["conversation"] = json!({"id": "c", "pricing": pricing});
    let Event::Status(status) = event_of("messages", &json!({"statuses": [status]})) else { panic!() };
    assert_eq!(status.participant_id, Some(redacted(DANA)));
    assert!(status.pricing.is_some(), "pricing within the conversation");
}

#[test]
fn contacts_belong_by_address_not_by_place() {
    let contact = |name, wa_id, user_id| json!({"profile": {"name": name}, "wa_id": wa_id, "user_id": user_id});
    let value = json!({
        "contacts": [contact("Ines", "2", "US.b"), contact("Dana", "1", "US.a"), {"profile": {"name": "Rui"}, "user_id": "US.c"}],
        "statuses": [
            {"id": "w1", "status": "sent", "timestamp": "1", "recipient_id": "1"},
            {"id": "w2", "status": "sent", "timestamp": "1", "recipient_user_id": "US.b"},
            {"id": "w3", "status": "sent", "timestamp": "1", "recipient_user_id": "US.c"},
            {"id": "w4", "status": "sent", "timestamp": "1", "recipient_id": "4"},
            {"id": "w5", "status": "sent", "timestamp": "1"},
        ],
    });
    let names: Vec<_> = items(&notification("messages", &value))
        .into_iter()
        .map(|item| item.contact.and_then(|contact| contact.profile_name).map(Redacted::into_inner))
        .collect();
    let text = |name: &str| Some(name.to_owned());
    assert_eq!(names, [text("Dana"), text("Ines"), text("Rui"), None, None]);
}

#[test]
fn a_person_without_a_phone_number_is_known_by_user_id() {
    let item = only("in-text-bsuid-only");
    let contact = item.contact.unwrap();
    assert_eq!((contact.wa_id, contact.username), (None, Some(redacted("rui.almeida"))));
    let message = only_message("in-text-bsuid-only");
    assert_eq!((message.from, message.from_user_id), (None, Some(redacted("US.77120934856610293847"))));
}

#[test]
fn messages_carry_their_payload() {
    let content = |name| only_message(name).content;
    assert_eq!(content("in-text"), MessageContent::Text { body: redacted("Hi! Is the Saturday workshop still open?") });
    assert_eq!(
        content("in-button"),
        MessageContent::Button { payload: Some(redacted("CONFIRM-2291")), text: Some(redacted("Confirm")) }
    );
    let MessageContent::Audio(audio) = content("in-audio-voice") else { panic!() };
    assert_eq!((audio.id.as_str(), audio.voice), ("1842093377011554", Some(true)));
    let MessageContent::Document(document) = content("in-document") else { panic!() };
    assert_eq!(document.filename, Some(redacted("registration.pdf")));
    let MessageContent::FlowReply { flow_token, .. } = content("in-interactive-nfm-reply") else { panic!() };
    assert_eq!(flow_token, Some(redacted("ft-8841")));
    let MessageContent::Reaction { emoji, .. } = content("in-reaction") else { panic!() };
    assert_eq!(emoji, Some(redacted("👍")));
    let MessageContent::Reaction { emoji, .. } = content("in-reaction-removed") else { panic!() };
    assert_eq!(emoji, None);
    let MessageContent::Order(order) = content("in-order") else { panic!() };
    assert_eq!((order.items[0].quantity, order.items[0].item_price.as_deref()), (Some(2), Some("14.5")));
    let MessageContent::Contacts { cards } = content("in-contacts") else { panic!() };
    assert_eq!(cards[0].phones[0].wa_id, Some(redacted("16505557788")));
    let MessageContent::Edit { content: edited, .. } = content("in-edit") else { panic!() };
    assert_eq!(*edited, MessageContent::Text { body: redacted("Hi! Is the Sunday workshop still open?") });
    assert_eq!(content("in-unsupported"), MessageContent::Unsupported { kind: Some("poll".to_owned()) });
    assert_eq!(only_message("in-unsupported").errors[0].code, Some(131_051));
}

#[test]
fn replies_forwards_and_ads_are_told() {
    let context = only_message("in-text-reply").context.unwrap();
    assert_eq!(context.from, Some(redacted("15550783881")));
    assert!(context.id.is_some() && !context.forwarded);
    assert!(only_message("in-text-forwarded").context.unwrap().frequently_forwarded);
    let referral = only_message("in-text-ctwa-referral").referral.unwrap();
    assert_eq!(referral.source_type.as_deref(), Some("ad"));
    assert_eq!(referral.ctwa_clid, Some(redacted("ARexampleClickId_7hQ2")));
}

#[test]
fn changes_of_identity_name_both_sides() {
    let MessageContent::System(change) = only_message("in-system-number-changed").content else { panic!() };
    assert_eq!((change.kind, change.wa_id), (SystemKind::UserChangedNumber, Some(redacted("16505559090"))));
    let body = "User Rui changed to B changed from US.111 to US.222";
    let message = message_with(&json!({"type": "system", "system": {"type": "user_changed_user_id", "body": body}}));
    let MessageContent::System(change) = message.content else { panic!() };
    assert_eq!((change.previous_user_id, change.user_id), (Some(redacted("US.111")), Some(redacted("US.222"))));
    let old = json!({"type": "system", "system": {"type": "customer_changed_number", "new_wa_id": "44"}});
    let MessageContent::System(change) = message_with(&old).content else { panic!() };
    assert_eq!((change.kind, change.wa_id), (SystemKind::UserChangedNumber, Some(redacted("44"))));
}

#[test]
fn content_of_another_shape_is_kept_with_the_message() {
    for content in [
        json!({"type": "hologram", "hologram": {"depth": 3}}),
        json!({"type": "image", "image": "none"}),
        json!({"type": "location", "location": {"latitude": "north"}}),
        json!({"type": "interactive", "interactive": {"type": "product_enquiry", "product_enquiry": {}}}),
        json!({"type": "edit", "edit": {"original_message_id": "w", "message": 1}}),
        json!({"text": {"body": "without a type"}}),
    ] {
        let message = message_with(&content);
        let MessageContent::Other { kind, raw } = message.content else { panic!("{content}") };
        assert_eq!(kind, content["type"].as_str().unwrap_or_default());
        assert_eq!(serde_json::from_str::<Value>(&raw).unwrap()["id"], "wamid.1");
        assert_eq!(message.from, Some(redacted(DANA)));
    }
    let nested = json!({"type": "edit", "edit": {"original_message_id": "w", "message": {"type": "edit", "edit": {}}}});
    let MessageContent::Edit { content, .. } = message_with(&nested).content else { panic!() };
    assert!(matches!(*content, MessageContent::Other { .. }));
}

#[test]
fn legacy_unknown_is_unsupported() {
    assert_eq!(message_with(&json!({"type": "unknown"})).content, MessageContent::Unsupported { kind: None });
    assert_eq!(message_with(&json!({"type": "request_welcome"})).content, MessageContent::RequestWelcome);
}

#[test]
fn limits_are_read_as_numbers_or_tiers() {
    for (written, expected) in [
        (json!(2000), MessagingLimit::Recipients(2_000)),
        (json!(-1), MessagingLimit::Unlimited),
        (json!("TIER_250"), MessagingLimit::Recipients(250)),
        (json!("TIER_100K"), MessagingLimit::Recipients(100_000)),
        (json!("TIER_UNLIMITED"), MessagingLimit::Unlimited),
        (json!("TIER_NOT_SET"), MessagingLimit::NotSet),
        (json!("TIER_9999999999K"), MessagingLimit::Other("TIER_9999999999K".to_owned())),
    ] {
        let event = event_of("business_capability_update", &json!({"max_daily_conversations_per_business": written}));
        let Event::Capability(capability) = event else { panic!() };
        assert_eq!(capability.messaging_limit, Some(expected));
    }
}

#[test]
fn restrictions_and_bans_are_typed() {
    let Event::AccountUpdate(update) = only("account-update-restriction").event else { panic!() };
    assert_eq!(update.event, AccountEvent::Restriction);
    assert_eq!(update.restrictions[0].kind, RestrictionKind::BusinessInitiatedMessaging);
    assert_eq!(update.restrictions[0].expires_at_s, Some(1_790_259_200));
    let Event::AccountUpdate(update) = only("account-update-disabled").event else { panic!() };
    assert_eq!(update.ban.unwrap().state, BanState::Scheduled);
}

#[test]
fn a_quality_update_counts_under_the_wrong_field_too() {
    let value = json!({"new_quality_score": "RED", "message_template_id": 1});
    let Event::TemplateQuality(update) = event_of("message_template_status_update", &value) else { panic!() };
    assert_eq!(update.new, QualityScore::Red);
}

#[test]
fn categories_tell_announced_from_done() {
    let Event::TemplateCategory(update) = only("template-category-impending").event else { panic!() };
    let (current, next) = (Some("UTILITY".to_owned()), "MARKETING".to_owned());
    assert_eq!(update.change, CategoryChange::Impending { current, next, at_s: Some(1_790_086_400) });
    let Event::TemplateCategory(update) = only("template-category-completed").event else { panic!() };
    assert!(matches!(update.change, CategoryChange::Completed { new, .. } if new == "MARKETING"));
}

#[test]
fn a_stop_survives_a_missing_time_but_not_a_missing_person() {
    let value = |preference: Value| json!({"user_preferences": [preference]});
    let stop = event_of("user_preferences", &value(json!({"wa_id": DANA, "value": "stop"})));
    let Event::UserPreference(preference) = stop else { panic!() };
    assert_eq!((preference.value, preference.timestamp_s), (PreferenceValue::Stop, None));
    assert_eq!(event_of("user_preferences", &value(json!({"value": "stop"}))).kind(), "malformed");
}

#[test]
fn who_removed_a_member_is_read_beside_the_list_too() {
    let group = json!({"type": "group_participants_remove", "timestamp": "1", "group_id": "g", "removed_participants": [{"wa_id": DANA}]});
    let event = event_of("group_participants_update", &json!({"groups": [group], "initiated_by": "participant"}));
    let Event::GroupParticipants(participants) = event else { panic!() };
    assert_eq!(participants.initiated_by.as_deref(), Some("participant"));
    assert_eq!(participants.removed[0].wa_id, Some(redacted(DANA)));
}

#[test]
fn statuses_of_calls_are_not_statuses_of_messages() {
    let status = json!({"id": "wacid.1", "type": "call", "status": "RINGING", "timestamp": "1", "recipient_id": DANA});
    for field in ["calls", "messages"] {
        assert_eq!(event_of(field, &json!({"statuses": [status]})).kind(), "call_status");
    }
}

#[test]
fn history_never_looks_like_a_new_message() {
    let message = json!({"id": "w", "from": DANA, "timestamp": "1", "type": "text", "text": {"body": "x"}});
    let Event::HistoryMessage(message) = event_of("history", &json!({"messages": [message]})) else { panic!() };
    assert_eq!(message.thread_id, None);
    let refused = json!({"history": [{"errors": [{"code": 2_593_109}]}]});
    let Event::History(progress) = event_of("history", &refused) else { panic!() };
    assert_eq!(progress.errors[0].code, Some(2_593_109));
}

#[test]
fn standby_holds_messages_echoes_and_statuses() {
    let inner = json!({
        "contacts": [{"wa_id": DANA, "profile": {"name": "Dana"}}],
        "messages": [{"id": "w", "from": DANA, "timestamp": "1", "type": "text", "text": {"body": "x"}}],
        "statuses": [status_value(1)],
    });
    let items = items(&notification("standby", &json!({"standby": inner})));
    assert!(items.iter().all(|item| item.event.kind() == "standby"));
    assert_eq!(items.len(), 2);
    assert!(items[0].contact.is_some());
    let Event::Standby(standby) = only("standby-echo").event else { panic!() };
    let Standby::Echo(echo) = *standby else { panic!() };
    assert_eq!(echo.content, MessageContent::Text { body: redacted("Your seat is confirmed.") });
}

#[test]
fn a_hand_over_names_both_owners_and_our_number() {
    let value = json!({
        "messaging_product": "whatsapp", "sender": {"phone_number": "16505551234"},
        "recipient": {"phone_number_id": "107853902081447", "display_phone_number": "15550783881"},
        "type": "control_passed", "timestamp": "1790000000",
        "control_passed": {"previous_owner_role": "ai_agent", "new_owner_role": "customer_service"},
    });
    let body = json!({"entry": [{"id": "1", "changes": [{"field": "messaging_handovers", "value": value}]}]});
    let items = parse(body.to_string().as_bytes()).unwrap().items;
    assert_eq!(items[0].phone_number_id.as_deref(), Some("107853902081447"));
    let Event::HandOver(hand_over) = &items[0].event else { panic!() };
    assert_eq!(hand_over.kind, HandOverKind::Passed);
    let owners = (hand_over.previous_owner.as_deref(), hand_over.new_owner.as_deref());
    assert_eq!(owners, (Some("ai_agent"), Some("customer_service")));
    let Event::Unknown(unknown) = event_of("messaging_handovers", &json!({"something": "else"})) else { panic!() };
    assert_eq!(unknown.raw.as_str(), r#"{"something":"else"}"#);
}
