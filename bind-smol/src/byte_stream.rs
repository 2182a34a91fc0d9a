use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bind::{ReadBytes, WriteBytes};
use futures_io::{AsyncRead, AsyncWrite};

#[doc = include_str!("../docs/byte_stream.md")]
#[derive(Debug)]
pub struct ByteStream<T>(T);

impl<T> ByteStream<T> {
    /// Makes a stream of a socket or of one message.
    pub const fn new(inner: T) -> Self {
        Self(inner)
    }

    /// Returns the socket or the message.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T: ReadBytes + Unpin> AsyncRead for ByteStream<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_read(cx, buf)
    }
}

impl<T: WriteBytes + Unpin> AsyncWrite for ByteStream<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_shutdown(cx)
    }
}
