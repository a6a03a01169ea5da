//! S3 on a folder: one subfolder per bucket, one file per object, metadata in hidden files beside the buckets.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use http::Method;
use http::header::{IF_MATCH, IF_NONE_MATCH};
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{CREDENTIAL, listen};

/// Serves the objects under `folder`, which is created if it does not exist.
pub(super) fn serve(
    listener: TcpListener,
    folder: &Path,
    stop: &CancellationToken,
    tasks: &TaskTracker,
) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let files =
        FileSystem::new(folder).map_err(|error| anyhow::anyhow!("cannot use {}: {error:?}", folder.display()))?;
    let mut service = S3ServiceBuilder::new(files);
    // Without an authentication provider s3s refuses every signed request.
    service.set_auth(SimpleAuth::from_single(CREDENTIAL, CREDENTIAL));
    let service = service.build();
    // It looks whether the condition of a write holds and then writes; in between nobody else may.
    let turn = Arc::new(Mutex::new(()));
    let in_turn = service_fn(move |request: http::Request<Incoming>| {
        let (service, turn) = (service.clone(), Arc::clone(&turn));
        async move {
            let headers = request.headers();
            let conditional = headers.contains_key(IF_MATCH) || headers.contains_key(IF_NONE_MATCH);
            let _turn = match request.method() {
                &Method::PUT if conditional => Some(turn.lock().await),
                _ => None,
            };
            Service::call(&service, request).await
        }
    });
    listen::serve(listener, in_turn, stop, tasks);
    Ok(())
}
