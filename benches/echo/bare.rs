//! The least that a tokio connection can be: it echoes bytes, and holds no memory while it waits.

use std::{
    cell::Cell,
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWriteExt, ReadBuf},
    net::TcpStream,
};

/// The size of a read, in bytes.
pub(crate) const READ: usize = 128 << 10;

/// A waiting connection consists of a task and a `TcpStream`, and polls `also`. The read buffer is lent
/// for each read.
pub(crate) async fn echo(
    mut stream: TcpStream,
    mut also: impl FnMut(&mut Context<'_>),
) -> io::Result<()> {
    loop {
        let (buffer, read) = poll_fn(|cx| {
            also(cx);
            read_lent(&mut stream, cx)
        })
        .await?;
        if read == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..read]).await?;
        back(buffer);
    }
}

thread_local! {
    static LENT: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

pub(crate) fn read_lent(
    stream: &mut TcpStream,
    cx: &mut Context<'_>,
) -> Poll<io::Result<(Vec<u8>, usize)>> {
    lend(|buffer| {
        let mut read = ReadBuf::new(buffer);
        let polled = Pin::new(stream).poll_read(cx, &mut read);
        polled.map_ok(|()| read.filled().len())
    })
}

/// The reader gets the buffer with the bytes that it read, and returns it with [`back`].
pub(crate) fn lend(
    read: impl FnOnce(&mut [u8]) -> Poll<io::Result<usize>>,
) -> Poll<io::Result<(Vec<u8>, usize)>> {
    let mut buffer = LENT.take();
    buffer.resize(READ.max(buffer.len()), 0);
    match read(&mut buffer) {
        Poll::Pending => {
            back(buffer);
            Poll::Pending
        }
        Poll::Ready(read) => Poll::Ready(read.map(|read| (buffer, read))),
    }
}

pub(crate) fn back(buffer: Vec<u8>) {
    LENT.set(buffer);
}
