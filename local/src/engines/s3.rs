//! S3 on a folder: one subfolder per bucket, one file per object, metadata in hidden files beside the buckets. What the
//! engine does in several steps and S3 at once is made to look so from outside.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use anyhow::Context as _;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::service::service_fn;
use s3s::{
    Body, HttpError,
    auth::SimpleAuth,
    service::{S3Service, S3ServiceBuilder},
};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;
use tokio::sync::RwLock;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{CREDENTIAL, listen};

/// Locks that all objects share.
const LOCKS: usize = 64;

/// How often a list is made anew that was disturbed.
const LISTS: usize = 20;

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
    let engine = Engine { service: service.build(), objects: Arc::new(std::array::from_fn(|_| RwLock::new(()))) };
    let service = service_fn(move |request| {
        let engine = engine.clone();
        async move { engine.answer(request).await }
    });
    listen::serve(listener, service, stop, tasks);
    Ok(())
}

#[derive(Clone)]
struct Engine {
    service: S3Service,
    /// The engine writes an object and what it knows of it one after the other, and looks first whether the condition of a
    /// write holds: nobody else looks or writes in between.
    objects: Arc<[RwLock<()>; LOCKS]>,
}

impl Engine {
    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Body>, HttpError> {
        let (head, body) = request.into_parts();
        let path = head.uri.path().to_owned();
        let names_an_object = path.trim_matches('/').contains('/');
        let object = &self.objects[lock_of(&path)];
        let (_reading, _writing) = match head.method {
            Method::PUT | Method::DELETE => (None, Some(object.write().await)),
            _ => (Some(object.read().await), None),
        };
        if head.method == Method::GET && !names_an_object {
            return self.list(&head).await;
        }
        let mut body = Lent(Arc::new(Mutex::new(body)));
        let answered = self.service.call(Request::from_parts(head, Body::http_body(body.clone()))).await;
        // Whoever is refused before all was read goes on sending; the answer must not meet a closed connection.
        while let Some(Ok(_)) = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {}
        answered
    }

    /// The engine walks through the folder and stumbles over what is removed meanwhile.
    async fn list(&self, head: &http::request::Parts) -> Result<Response<Body>, HttpError> {
        let list = || self.service.call(Request::from_parts(head.clone(), Body::empty()));
        for _ in 1..LISTS {
            match list().await {
                Ok(answer) if answer.status().is_server_error() => {}
                answered => return answered,
            }
        }
        list().await
    }
}

/// The lock that an object shares with few others.
fn lock_of(path: &str) -> usize {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    usize::try_from(hasher.finish() % (LOCKS as u64)).unwrap_or(0)
}

/// A request's body, of which what is not read is still there.
#[derive(Clone)]
struct Lent(Arc<Mutex<Incoming>>);

impl http_body::Body for Lent {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let mut body = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Pin::new(&mut *body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).size_hint()
    }
}
