//! SQS: the HTTP protocol and the scheduling of messages come from rustack; [`super::queues`] puts durability, messages
//! of up to 1 MiB and redrive around it.

use std::{path::PathBuf, sync::Arc};

use rustack_sqs_core::{config::SqsConfig, provider::RustackSqs};
use rustack_sqs_http::service::{SqsHttpConfig, SqsHttpService};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{ACCOUNT, REGION, listen, queues::Queues};

/// Serves the queues in the journal, or in memory without one.
pub(super) async fn serve(
    listener: TcpListener,
    journal: Option<PathBuf>,
    stop: &CancellationToken,
    tasks: &TaskTracker,
) -> anyhow::Result<()> {
    let address = listener.local_addr()?;
    let engine = RustackSqs::new(SqsConfig {
        skip_signature_validation: true,
        default_region: REGION.to_owned(),
        account_id: ACCOUNT.to_owned(),
        host: address.ip().to_string(),
        port: address.port(),
    });
    let queues = Arc::new(Queues::restore(engine, journal.as_deref()).await?);
    let service = SqsHttpService::new(queues, SqsHttpConfig { region: REGION.to_owned(), ..SqsHttpConfig::default() });
    listen::serve(listener, service, stop, tasks);
    Ok(())
}
