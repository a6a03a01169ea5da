//! A request's body that tells when it leaves. Between the decision to send and the first byte lie the wait for a connection
//! and for the processor; a sender that keeps to a rate has to count from the byte.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// Bytes of known length; `departed` is called when the connection takes them.
pub(super) struct Departing<F> {
    bytes: Option<Bytes>,
    departed: F,
}

impl<F: Fn()> Departing<F> {
    pub(super) const fn new(bytes: Bytes, departed: F) -> Self {
        Self { bytes: Some(bytes), departed }
    }
}

impl<F: Fn() + Unpin> Body for Departing<F> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = self.bytes.take();
        if bytes.is_some() {
            (self.departed)();
        }
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}
