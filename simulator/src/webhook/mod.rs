//! What Meta posts to the webhook: the shapes, the exact bytes with their signatures, and the delivery with its retries.

pub(crate) mod courier;
pub(crate) mod notice;
pub(crate) mod payload;
pub(crate) mod wire;
