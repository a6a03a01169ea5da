//! Something was quarantined, and somebody asks for it to be tried again: the whole message that brought it is taken out of
//! the archive and taken in once more. That changes nothing of its other items; and what is not quarantined this time is
//! resolved.

use shared::archive;
use shared::blob::BlobError;
use shared::queue::Again;
use shared::time::UnixMillis;

use crate::{Ingest, NotIngested, intake};

/// Takes the message in again. A repeat changes nothing.
pub(crate) async fn take_in(ingest: &Ingest, again: Again) -> Result<(), NotIngested> {
    let Again { place, quarantined, .. } = again;
    let object = match ingest.bucket.get(&place.object.key()).await {
        Ok(object) => object,
        Err(BlobError::NotFound { .. }) => {
            tracing::warn!(%place, "what was quarantined is not in the archive any more");
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    let mut found = None;
    for line in archive::lines(&object)? {
        let line = line?;
        if line.message == place.message {
            found = Some(line);
            break;
        }
    }
    let Some(line) = found else {
        tracing::warn!(%place, "what was quarantined is not in the archive any more");
        return Ok(());
    };
    let worked_out = intake::work_out(ingest, vec![(line, place.clone())]).await;
    let taken = intake::write(ingest, worked_out).await;
    if !taken.failed.is_empty() {
        return Err(NotIngested::NotWritten);
    }
    let now = UnixMillis::now();
    for row in quarantined {
        if taken.quarantined.iter().any(|id| row.sk.ends_with(&id.to_string())) {
            tracing::warn!(row = row.sk, "still quarantined");
        } else {
            ingest.core.resolve_quarantined(&row, now).await?;
        }
    }
    Ok(())
}
