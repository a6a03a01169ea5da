//! S3 on a folder: one subfolder per bucket, one file per object, metadata in hidden files beside the buckets.

use std::path::Path;

use anyhow::Context as _;
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;
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
    listen::serve(listener, service.build(), stop, tasks);
    Ok(())
}
