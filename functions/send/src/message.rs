//! Meta's send body for one recipient.

use serde_json::{Value, json};
use shared::attempt::{AttemptKey, callback};
use shared::campaign::audience::Recipient;
use shared::campaign::render::{Fields, Filled};

use crate::Send;
use crate::context::Context;

/// The part of the body that says what is sent, filled for this recipient.
pub(crate) fn content(send: &Send, context: &Context, recipient: &Recipient) -> Result<Value, String> {
    let variant = context.campaign.variants.get(usize::from(recipient.variant.0));
    let message = variant.map(|variant| &variant.message).ok_or("the variant does not exist")?;
    let link = |url: &str| -> Option<Filled> {
        let link = context.campaign.links.iter().find(|link| link.url == url)?;
        send.links.of_recipient(context.links.get(&link.id)?, recipient.seq)
    };
    let media = |id| context.media.get(&id).cloned();
    let name = recipient.name.as_deref();
    let fields = Fields { variables: &recipient.variables, name, link: &link, media: &media };
    message.fill(&fields).map_err(|reason| reason.to_string())
}

/// The whole body: to whom, and what Meta shall echo.
pub(crate) fn addressed(content: &Value, recipient: &Recipient, key: &AttemptKey, number: u16) -> Value {
    let mut body = json!({
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": recipient.phone.as_str(),
        "biz_opaque_callback_data": callback::write(key, number),
    });
    if let (Value::Object(body), Value::Object(content)) = (&mut body, content) {
        body.extend(content.clone());
    }
    body
}
