//! A non-blocking transport in memory, for tokio and futures-io, that fails as planned.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker},
};

use crate::plan::{Call, Fault, Plan, Verdict, dead};

/// One end of a pipe.
#[derive(Debug)]
pub(crate) struct End {
    link: Link,
    plan: Plan,
}

/// Both directions, as one end sees them.
#[derive(Debug)]
struct Link {
    incoming: Arc<Mutex<Lane>>,
    outgoing: Arc<Mutex<Lane>>,
}

/// Bytes on their way in one direction.
#[derive(Debug, Default)]
struct Lane {
    bytes: VecDeque<u8>,
    capacity: usize,
    /// Whether nothing more will be written.
    ended: bool,
    /// Whether nothing more will be read.
    deaf: bool,
    reset: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// Returns a client's end and a server's, with room for `capacity` bytes in each direction.
pub(crate) fn pipe(capacity: usize, near: Plan, far: Plan) -> (End, End) {
    let lane = || {
        Arc::new(Mutex::new(Lane {
            capacity,
            ..Lane::default()
        }))
    };
    let (x, y) = (lane(), lane());
    let end = |incoming: &Arc<Mutex<Lane>>, outgoing: &Arc<Mutex<Lane>>, plan: Plan| {
        plan.set_lives(true);
        let link = Link {
            incoming: incoming.clone(),
            outgoing: outgoing.clone(),
        };
        End { link, plan }
    };
    (end(&x, &y, near), end(&y, &x, far))
}

impl Lane {
    fn change(&mut self, change: impl FnOnce(&mut Self)) {
        change(self);
        let wakers = self.reader.take().into_iter().chain(self.writer.take());
        wakers.for_each(Waker::wake);
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let len = self.bytes.len().min(buf.len());
        if len > 0 {
            for (to, from) in buf.iter_mut().zip(self.bytes.drain(..len)) {
                *to = from;
            }
            self.writer.take().into_iter().for_each(Waker::wake);
            return Poll::Ready(Ok(len));
        }
        if self.reset {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if self.ended || self.deaf {
            return Poll::Ready(Ok(0));
        }
        self.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.reset {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if self.ended || self.deaf {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let len = bytes.len().min(self.capacity - self.bytes.len());
        if len == 0 {
            self.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        self.bytes.extend(&bytes[..len]);
        self.reader.take().into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(len))
    }
}

impl Link {
    fn incoming(&self) -> MutexGuard<'_, Lane> {
        self.incoming.lock().unwrap()
    }

    fn outgoing(&self) -> MutexGuard<'_, Lane> {
        self.outgoing.lock().unwrap()
    }

    /// Ends both directions, as the peer sees it when this end is gone.
    fn end(&self) {
        self.outgoing().change(|lane| lane.ended = true);
        self.incoming().change(|lane| lane.deaf = true);
    }

    fn reset(&self) {
        for mut lane in [self.incoming(), self.outgoing()] {
            lane.change(|lane| {
                lane.bytes.clear();
                lane.reset = true;
            });
        }
    }
}

impl End {
    /// Does what the plan says. `go` performs the call, with at most the given number of bytes.
    fn call(
        &self,
        call: Call,
        cx: &mut Context<'_>,
        go: impl FnOnce(&Link, &mut Context<'_>, usize) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match self.plan.call(call) {
            Verdict::Go(most) => go(&self.link, cx, most),
            Verdict::Nothing => Poll::Ready(Ok(0)),
            Verdict::Later => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Verdict::Fail(kind) => Poll::Ready(Err(kind.into())),
            Verdict::Dead(fault) => {
                match fault {
                    Fault::Reset => self.link.reset(),
                    _ => self.link.end(),
                }
                Poll::Ready(dead(fault, call))
            }
        }
    }

    fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.call(Call::Read, cx, |link, cx, most| {
            let most = most.min(buf.len());
            link.incoming().poll_read(cx, &mut buf[..most])
        })
    }

    fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.call(Call::Write, cx, |link, cx, most| {
            let most = most.min(bytes.len());
            link.outgoing().poll_write(cx, &bytes[..most])
        })
    }

    fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let bytes: Vec<u8> = bufs.iter().flat_map(|buf| buf.iter().copied()).collect();
        self.poll_write(cx, &bytes)
    }

    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.call(Call::Flush, cx, |_, _, _| Poll::Ready(Ok(0)))
            .map_ok(drop)
    }

    fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = self.call(Call::Shutdown, cx, |link, _, _| {
            link.outgoing().change(|lane| lane.ended = true);
            Poll::Ready(Ok(0))
        });
        ended.map_ok(drop)
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.link.end();
        self.plan.set_lives(false);
    }
}

impl tokio::io::AsyncRead for End {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Self::poll_read(&self, cx, buf.initialize_unfilled());
        read.map_ok(|len| buf.advance(len))
    }
}

impl tokio::io::AsyncWrite for End {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Self::poll_write(&self, cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Self::poll_write_vectored(&self, cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Self::poll_flush(&self, cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Self::poll_shutdown(&self, cx)
    }
}

impl smol::io::AsyncRead for End {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Self::poll_read(&self, cx, buf)
    }
}

impl smol::io::AsyncWrite for End {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Self::poll_write(&self, cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Self::poll_write_vectored(&self, cx, bufs)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Self::poll_flush(&self, cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Self::poll_shutdown(&self, cx)
    }
}
