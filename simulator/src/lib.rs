//! A faithful WhatsApp Business Cloud API with simulated people behind it.
//!
//! It answers as Meta's Graph API does, with Meta's validation order, limits and error bodies, and it calls the
//! configured webhook back as Meta does: signed, ASCII-escaped, batched, repeated, out of order and retried for days.
//! The people who receive the messages are drawn from a seed, so that a run can be repeated.
//!
//! Nothing here knows the program under test: the only thing of it that the simulator ever sees is what it sends to
//! the Graph API, and the only thing it echoes is `biz_opaque_callback_data`.
//!
//! Besides Meta's paths it has its own, for tests in any language; [`Running`] has the same as methods:
//!
//! | Path | What it does |
//! |---|---|
//! | `GET /simulator/ledger`, `/totals`, `/pending` | what was accepted, its sums, what is still to come |
//! | `GET /simulator/rate?from_ms=&to_ms=&counted=received\|accepted` | how fast send requests came in |
//! | `POST /simulator/faults` | [`Faults`] |
//! | `POST /simulator/templates/{id or name}` | [`TemplateChange`] |
//! | `POST /simulator/numbers/{phone number id}` | [`NumberChange`] |
//! | `POST /simulator/account/{waba id}` | posts an `account_update` with the body as its value |
//! | `POST /simulator/media/expire` | lets all uploaded files expire |
//!
//! ```no_run
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use simulator::{Behaviour, Config, Simulator};
//!
//! let webhook = "http://127.0.0.1:8080/webhooks/meta".parse()?;
//! let mut config = Config::new(webhook, "app-secret");
//! config.speed = 120.0;
//! config.behaviour = Behaviour::Exact { delivered: 240, read: 180, clicked: 60, replied: 80, skip_delivered: 18 };
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let running = Simulator::start(listener, config).await?;
//! running.verify_subscription().await?;
//! println!("{}", running.url());
//! # Ok(()) }
//! ```

mod agenda;
mod book;
mod browser;
mod clock;
mod config;
mod errors;
mod faults;
mod graph;
mod identity;
mod journal;
mod ledger;
mod limits;
mod link;
mod number;
mod operator;
mod person;
mod plan;
mod portfolio;
mod rate;
mod server;
mod simulator;
mod speech;
mod standing;
mod template;
mod webhook;
mod world;

pub use config::{Behaviour, Config, ConfigError, Delivery, ForcedError, Origin, Shares};
pub use faults::{AnswerDelay, Faults, InjectedError, Trigger};
pub use journal::JournalError;
pub use ledger::{Ledger, LedgerMessage, LedgerRecipient, MediaUpload, StatusSeen, Totals, Truth, WebhookCounts};
pub use number::{NumberPolicy, NumberProfile};
pub use operator::{ControlError, TemplateChange};
pub use rate::{Arrivals, Counted, Rate, RateQuery, Rates};
pub use simulator::{Running, Simulator, StartError, VerifyError};
pub use standing::{MessagingTier, NumberChange, Quality};
pub use template::{ParameterFormat, Template, TemplateCategory, TemplatePolicy, TemplateStatus};
