//! Two sockets that are connected in memory.

use std::{
    collections::VecDeque,
    fmt, io,
    sync::{Arc, PoisonError},
    task::{Context, Poll, Waker},
};

use proto::{Config, Negotiated, Role};

use crate::{
    handshake::from_parts,
    socket::WebSocket,
    sync::{Mutex, MutexGuard},
    transport::{Timer, Transport},
};

/// Returns a client and a server that are connected to each other in memory, without an opening handshake. Nothing was
/// negotiated: there is no subprotocol and no compression. Each direction holds 64 KiB.
pub fn pair<C: Timer>(
    clock: C,
    config: impl Into<Arc<Config>>,
) -> (WebSocket<InMemory<C>>, WebSocket<InMemory<C>>) {
    let config = config.into();
    let lanes = [Lane::default(), Lane::default()];
    let end = |incoming: &Lane, outgoing: &Lane, role| {
        let io = InMemory {
            incoming: incoming.clone(),
            outgoing: outgoing.clone(),
            clock: clock.clone(),
        };
        from_parts(io, &[], Negotiated::default(), role, config.clone())
    };
    let [there, back] = &lanes;
    (
        end(back, there, Role::Client),
        end(there, back, Role::Server),
    )
}

/// One end of a connection in memory.
pub struct InMemory<C> {
    incoming: Lane,
    outgoing: Lane,
    clock: C,
}

/// The bytes of one direction.
#[derive(Clone, Default)]
struct Lane(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    bytes: VecDeque<u8>,
    /// Whether nothing more is written.
    ended: bool,
    /// Whether nothing more is read.
    unread: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Lane {
    const CAPACITY: usize = 64 << 10;

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that no more is written.
    fn end(&self) {
        let mut state = self.lock();
        state.ended = true;
        let reader = state.reader.take();
        drop(state);
        reader.into_iter().for_each(Waker::wake);
    }

    /// Records that no more is read.
    fn abandon(&self) {
        let mut state = self.lock();
        state.unread = true;
        state.bytes = VecDeque::new();
        let writer = state.writer.take();
        drop(state);
        writer.into_iter().for_each(Waker::wake);
    }
}

impl<C: Timer> Transport for InMemory<C> {
    type Clock = C;

    fn clock(&self) -> C {
        self.clock.clone()
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut state = self.incoming.lock();
        if state.bytes.is_empty() && !state.ended {
            state.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let read = io::Read::read(&mut state.bytes, buf);
        let writer = state.writer.take();
        drop(state);
        writer.into_iter().for_each(Waker::wake);
        Poll::Ready(read)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = self.outgoing.lock();
        if state.unread || state.ended {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let room = Lane::CAPACITY.saturating_sub(state.bytes.len());
        if room == 0 && !buf.is_empty() {
            state.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let taken = buf.get(..room).unwrap_or(buf);
        state.bytes.extend(taken);
        let reader = state.reader.take();
        drop(state);
        reader.into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(taken.len()))
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.outgoing.end();
        Poll::Ready(Ok(()))
    }
}

impl<C> Drop for InMemory<C> {
    fn drop(&mut self) {
        self.outgoing.end();
        self.incoming.abandon();
    }
}

impl<C> fmt::Debug for InMemory<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InMemory").finish_non_exhaustive()
    }
}
