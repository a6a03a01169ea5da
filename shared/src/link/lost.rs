//! Clicks that could not be queued: the redirect writes them to its log, and the API reads them back from its lines.
//!
//! A line holds the click less the visitor's address, the one thing of it that may be in no log. What tells the visitors of a
//! shared code apart for a day takes its place.

use serde_json::Value;

use crate::activity::Click;
use crate::link::code::LinkKey;

/// What the redirect says of such a click.
pub const MESSAGE: &str = "a click was not queued";

/// The click as it is logged, under the name `click`; `key` is the one that visitors are marked with.
#[must_use]
pub fn logged(click: Click, key: &LinkKey) -> String {
    let mark = click.visitor_mark(key);
    serde_json::to_string(&Click { ip: None, mark, ..click }).unwrap_or_default()
}

/// The click of a line of the log, as Lambda or `local` writes them; `None` for a line of anything else.
#[must_use]
pub fn read(line: &str) -> Option<Click> {
    if !line.contains(MESSAGE) {
        return None;
    }
    let click = match serde_json::from_str::<Value>(line) {
        Ok(line) => {
            let click = line.get("click").or_else(|| line.get("fields")?.get("click"))?;
            serde_json::from_str(click.as_str()?).ok()?
        }
        // Written for people: `click={…} reason=…`.
        Err(_) => {
            let (_, from_click) = line.split_once("click={")?;
            let from_click = format!("{{{from_click}");
            serde_json::Deserializer::from_str(&from_click).into_iter().next()?.ok()?
        }
    };
    Some(Click { ip: None, ..click })
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt::MakeWriter;

    use super::*;
    use crate::attempt::{Seq, Shard};
    use crate::id::WorkspaceId;
    use crate::link::code::{KeyId, LinkId};
    use crate::time::UnixMillis;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Log {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    fn click() -> Click {
        let at = UnixMillis(1_790_000_000_123);
        let stored = serde_json::json!({"id": "evt_01M3250V3VGPSSVBTG0MBSQZT7", "link": LinkId::new(7).unwrap(), "workspace": WorkspaceId::FIRST,
            "recipient": (Shard(3), Seq(99)), "at": at, "method": "GET", "user_agent": "Mozilla/5.0 (\"quoted\" {brace})",
            "ip": "192.0.2.7", "country": "DE", "prefetch": true});
        serde_json::from_value(stored).unwrap()
    }

    fn written(subscriber: impl tracing::Subscriber + Send + Sync, log: &Log) -> String {
        let click = logged(click(), &LinkKey::new(KeyId(1), &[7; 16]));
        tracing::subscriber::with_default(subscriber, || {
            tracing::error!(click, reason = "no answer within 250 ms", "{MESSAGE}");
            tracing::error!(%click, reason = "no answer within 250 ms", "{MESSAGE}");
            tracing::error!("something else");
        });
        String::from_utf8(log.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn a_click_is_read_back_from_every_form_of_the_log() {
        let expected = Click { ip: None, ..click() };
        let logs = [Log::default(), Log::default(), Log::default()];
        let fmt = |n: usize| tracing_subscriber::fmt().with_writer(logs[n].clone()).with_ansi(false);
        let texts = [
            written(fmt(0).json().flatten_event(true).finish(), &logs[0]),
            written(fmt(1).json().finish(), &logs[1]),
            written(fmt(2).finish(), &logs[2]),
        ];
        for text in texts {
            assert!(!text.contains("192.0.2.7"));
            let read: Vec<Option<Click>> = text.lines().map(read).collect();
            assert_eq!(read[1..], [Some(expected.clone()), None], "{text}");
        }
    }

    #[test]
    fn other_lines_are_no_clicks() {
        let cut = format!("{{\"message\":\"{MESSAGE}\",\"click\":\"{{\\\"id\\\":1}}\"}}");
        for line in ["", "START RequestId: 1", "a click was not queued", cut.as_str(), "a click was not queued click={"]
        {
            assert_eq!(read(line), None, "{line}");
        }
    }
}
