//! Traits for reading and writing bytes without a runtime. A binding implements the traits of its runtime with them.

use std::{
    io,
    task::{Context, Poll},
};

/// Bytes that can be read.
///
/// A socket is a stream of bytes, and so is a message that `read_message` returns; a half is not:
///
/// ```compile_fail,E0277
/// fn read(_: impl bowline_bind::ReadBytes) {}
/// fn f<S: bowline_bind::Transport>(half: bowline_bind::ReadHalf<S>) {
///     read(half); // "`ReadHalf<S>` cannot be read as bytes"
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read as bytes",
    note = "use a whole `WebSocket`, or what `read_message` of a socket or its read half returns"
)]
pub trait ReadBytes {
    /// Reads into `buf`. Returns 0 at the end, and if `buf` is empty.
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>>;
}

/// A sink for bytes.
///
/// A socket is a sink, and so is the message that `stream` begins; a half is not:
///
/// ```compile_fail,E0277
/// fn write(_: impl bowline_bind::WriteBytes) {}
/// fn f<S: bowline_bind::Transport>(half: bowline_bind::WriteHalf<S>) {
///     write(half); // "bytes cannot be written to `WriteHalf<S>`"
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "bytes cannot be written to `{Self}`",
    note = "use a whole `WebSocket`, or what `stream` of a socket or its write half returns"
)]
pub trait WriteBytes {
    /// Writes from the front of `buf`. Returns how many bytes were written.
    fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>>;

    /// Waits until everything that was written is sent.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Ends the output, and waits until all of it is sent.
    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

/// The most bytes that one write takes as a message, or as a piece of one.
pub(crate) const MAX_WRITE: usize = 64 << 10;

/// Returns the front of `buf`, at most `most` bytes of it.
pub(crate) fn front(buf: &[u8], most: usize) -> &[u8] {
    buf.get(..most).unwrap_or(buf)
}

impl<T: ReadBytes> ReadBytes for &mut T {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        T::poll_read(self, cx, buf)
    }
}

impl<T: WriteBytes> WriteBytes for &mut T {
    fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        T::poll_write(self, cx, buf)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        T::poll_flush(self, cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        T::poll_shutdown(self, cx)
    }
}
