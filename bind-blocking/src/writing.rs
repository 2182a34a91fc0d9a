use std::{
    io::{self, IoSlice},
    net::Shutdown,
    sync::PoisonError,
    task::{Context, Poll, Waker},
};

use crate::{
    sync::{Mutex, MutexGuard},
    transport::{BlockingTransport, timed_out},
};

/// The most that waits to be written, in bytes.
const ROOM: usize = 64 << 10;

/// What is on its way to a transport. One thread at a time has the right to write, and writes whatever
/// others have put here.
#[derive(Default)]
pub(crate) struct Writing(Mutex<State>);

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    /// What the transport has taken may not have left.
    unflushed: bool,
    end: End,
    failed: bool,
    error: Option<io::Error>,
    /// Somebody writes.
    busy: bool,
    /// The transport took nothing the last time.
    stuck: bool,
    /// How many threads will write what is left here.
    parked: usize,
    /// Wakes one of them.
    waker: Option<Waker>,
}

/// Our direction of the transport.
#[derive(Clone, Copy, Default, PartialEq)]
enum End {
    #[default]
    Open,
    Wanted,
    Done,
}

impl Writing {
    /// For the driver: takes what there is room for.
    pub(crate) fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = self.state();
        state.check()?;
        let len = buf.len().min(ROOM.saturating_sub(state.bytes.len()));
        if len == 0 {
            return state.pending(cx);
        }
        state.bytes.extend_from_slice(&buf[..len]);
        Poll::Ready(Ok(len))
    }

    /// For the driver of a socket that no other thread has: writes without a copy, if nothing is before
    /// it and the transport takes something. Blocks as [`write`](Self::write) does.
    pub(crate) fn write_at_once(
        &self,
        transport: &(impl BlockingTransport + ?Sized),
        pieces: &[IoSlice<'_>],
    ) -> Option<io::Result<usize>> {
        let state = self.state();
        if state.failed || state.stuck || !state.bytes.is_empty() || state.end != End::Open {
            return None;
        }
        drop(state);
        let written = match pieces {
            [piece] => transport.write(piece),
            pieces => transport.write_vectored(pieces),
        };
        let mut state = self.state();
        match &written {
            Ok(_) => state.unflushed = true,
            Err(error) if timed_out(error) => {
                state.stuck = true;
                return None;
            }
            Err(_) => state.fail(None),
        }
        Some(written)
    }

    /// For the driver: whether all that it put here has left.
    pub(crate) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.state();
        state.check()?;
        if state.bytes.is_empty() && !state.unflushed && !state.busy {
            return Poll::Ready(Ok(()));
        }
        state.pending(cx)
    }

    /// Our direction is to end, behind what is here.
    pub(crate) fn end(&self) {
        let mut state = self.state();
        if state.end == End::Open {
            state.end = End::Wanted;
        }
    }

    /// For the driver: whether our direction has ended, or is lost.
    pub(crate) fn poll_end(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state();
        if state.failed || state.end == End::Done {
            return Poll::Ready(());
        }
        state.pending(cx)
    }

    /// Whether our direction is still to end.
    pub(crate) fn is_ending(&self) -> bool {
        self.state().end == End::Wanted
    }

    /// Whether the transport took something the last time.
    pub(crate) fn flows(&self) -> bool {
        !self.state().stuck
    }

    /// Whether there is something to write which nobody writes.
    pub(crate) fn is_free(&self) -> bool {
        self.state().is_free()
    }

    /// Whether something was written, or there is nothing to write. Blocks for as long as the transport
    /// lets a write wait.
    pub(crate) fn write(&self, transport: &(impl BlockingTransport + ?Sized)) -> bool {
        self.write_by(transport, |bytes| transport.write(bytes))
    }

    /// As [`write`](Self::write), and does not block, if the transport can write so.
    pub(crate) fn try_write(&self, transport: &(impl BlockingTransport + ?Sized)) -> bool {
        self.write_by(transport, |bytes| transport.try_write(bytes))
    }

    /// How much waits here, in bytes.
    pub(crate) fn len(&self) -> usize {
        self.state().bytes.len()
    }

    fn write_by(
        &self,
        transport: &(impl BlockingTransport + ?Sized),
        write: impl Fn(&[u8]) -> io::Result<usize>,
    ) -> bool {
        let mut state = self.state();
        if !state.is_free() {
            return true;
        }
        state.busy = true;
        let mut bytes = std::mem::take(&mut state.bytes);
        let end = state.end;
        drop(state);

        let (written, result) = write_all(transport, write, &bytes, end);

        let mut state = self.state();
        state.busy = false;
        state.stuck = written == 0 && result.as_ref().is_err_and(timed_out);
        state.unflushed |= written > 0;
        bytes.drain(..written);
        if !bytes.is_empty() {
            // Before what was put here meanwhile.
            bytes.append(&mut state.bytes);
            state.bytes = bytes;
        }
        match result {
            Ok(()) => {
                state.unflushed = false;
                if end == End::Wanted {
                    state.end = End::Done;
                }
            }
            Err(error) if timed_out(&error) => {
                if written == 0 {
                    return false;
                }
            }
            Err(error) => state.fail(Some(error)),
        }
        // Who waits may wait for just this, and whoever wrote may not ask the driver again.
        let waker = state.waker.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
        true
    }

    /// Waits by `park`, as long as others have the right to do what there is to do.
    pub(crate) fn park(&self, may_go_on: impl FnOnce() -> bool, park: impl FnOnce()) {
        let state = self.state();
        if state.is_free() || may_go_on() {
            return;
        }
        drop(state);
        self.stand_by(park);
    }

    /// Meanwhile this thread counts as one that will write what others leave here.
    pub(crate) fn stand_by<U>(&self, meanwhile: impl FnOnce() -> U) -> U {
        self.enter();
        let value = meanwhile();
        self.leave();
        value
    }

    /// Meanwhile this thread, which counts as one that will write, cannot.
    pub(crate) fn off_duty<U>(&self, meanwhile: impl FnOnce() -> U) -> U {
        self.leave();
        let value = meanwhile();
        self.enter();
        value
    }

    pub(crate) fn enter(&self) {
        self.state().parked += 1;
    }

    pub(crate) fn leave(&self) {
        self.state().parked -= 1;
    }

    /// Whether nothing is to be written, and no thread writes.
    pub(crate) fn is_empty(&self) -> bool {
        let state = self.state();
        !state.has_bytes() && !state.busy
    }

    /// A thread that writes no longer leaves what is here to those who wait, who are woken for it.
    /// Whether there are none, so that nobody will write the bytes that are left.
    pub(crate) fn hand_over(&self) -> bool {
        let mut state = self.state();
        if !state.is_free() || state.parked == 0 {
            return state.is_free() && state.has_bytes();
        }
        let waker = state.waker.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
        false
    }

    /// Nothing will be written.
    pub(crate) fn fail(&self, error: io::Error) {
        self.state().fail(Some(error));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_free(&self) -> bool {
        let waits = self.has_bytes() || self.end == End::Wanted;
        waits && !self.failed && !self.busy
    }

    fn has_bytes(&self) -> bool {
        !self.bytes.is_empty() || self.unflushed
    }

    fn check(&mut self) -> io::Result<()> {
        if !self.failed {
            return Ok(());
        }
        let error = self.error.take();
        Err(error.unwrap_or_else(|| io::ErrorKind::BrokenPipe.into()))
    }

    fn fail(&mut self, error: Option<io::Error>) {
        self.failed = true;
        self.error = error;
    }

    fn pending<T>(&mut self, cx: &Context<'_>) -> Poll<T> {
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// How much of `bytes` the transport took by `write`, and whether it has passed all of it on.
fn write_all(
    transport: &(impl BlockingTransport + ?Sized),
    write: impl Fn(&[u8]) -> io::Result<usize>,
    bytes: &[u8],
    end: End,
) -> (usize, io::Result<()>) {
    let mut written = 0;
    while let Some(rest) = bytes.get(written..)
        && !rest.is_empty()
    {
        match write(rest) {
            Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
            Ok(len) => written += len.min(rest.len()),
            Err(error) => return (written, Err(error)),
        }
    }
    let result = transport.flush();
    if result.is_ok() && end == End::Wanted {
        return (written, transport.shutdown(Shutdown::Write));
    }
    (written, result)
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        time::Duration,
    };

    use super::*;

    /// Takes three bytes, then none in time; others put more here meanwhile.
    struct Slow {
        writing: Arc<Writing>,
        taken: Mutex<Vec<u8>>,
        writes: AtomicUsize,
        /// How often a flush is still to time out.
        stuck: AtomicUsize,
    }

    impl BlockingTransport for Slow {
        fn read(&self, _: &mut [u8]) -> io::Result<usize> {
            Ok(0)
        }

        fn write(&self, bytes: &[u8]) -> io::Result<usize> {
            let writes = self.writes.fetch_add(1, Ordering::Relaxed);
            if writes % 2 == 1 {
                return Err(io::ErrorKind::TimedOut.into());
            }
            if writes == 0 {
                assert!(put(&self.writing, b" and more").is_ready());
            }
            let len = bytes.len().min(3);
            self.taken.lock().unwrap().extend_from_slice(&bytes[..len]);
            Ok(len)
        }

        fn flush(&self) -> io::Result<()> {
            match self.stuck.load(Ordering::Relaxed).checked_sub(1) {
                Some(remaining) => {
                    self.stuck.store(remaining, Ordering::Relaxed);
                    Err(io::ErrorKind::TimedOut.into())
                }
                None => Ok(()),
            }
        }

        fn set_read_timeout(&self, _: Option<Duration>) -> io::Result<()> {
            Ok(())
        }

        fn set_write_timeout(&self, _: Option<Duration>) -> io::Result<()> {
            Ok(())
        }

        fn shutdown(&self, how: Shutdown) -> io::Result<()> {
            assert_eq!(how, Shutdown::Write);
            assert_eq!(self.stuck.load(Ordering::Relaxed), 0);
            assert_eq!(*self.taken.lock().unwrap(), b"something and more");
            Ok(())
        }
    }

    fn put(writing: &Writing, bytes: &[u8]) -> Poll<io::Result<usize>> {
        writing.poll_write(&mut Context::from_waker(Waker::noop()), bytes)
    }

    fn has_left(writing: &Writing) -> bool {
        let cx = &mut Context::from_waker(Waker::noop());
        writing.poll_flush(cx).is_ready()
    }

    #[test]
    fn what_is_left_of_a_write_goes_before_what_was_put_meanwhile() {
        let writing = Arc::new(Writing::default());
        let transport = Slow {
            writing: writing.clone(),
            taken: Mutex::default(),
            writes: AtomicUsize::new(0),
            stuck: AtomicUsize::new(2),
        };
        assert!(put(&writing, b"something").is_ready());
        assert!(writing.is_free());
        writing.end();
        let mut steps = 0;
        while !has_left(&writing) {
            writing.write(&transport);
            steps += 1;
            assert!(steps < 100);
        }
        assert_eq!(*transport.taken.lock().unwrap(), b"something and more");
        // Flushed, which took three times.
        assert_eq!(transport.stuck.load(Ordering::Relaxed), 0);
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(writing.poll_end(cx).is_ready());
        assert!(!writing.is_free() && writing.write(&transport));
    }

    #[test]
    fn there_is_room_for_so_much_only() {
        let writing = Writing::default();
        let taken = put(&writing, &[0; 2 * ROOM]);
        assert!(matches!(taken, Poll::Ready(Ok(ROOM))));
        assert!(put(&writing, &[0]).is_pending());
    }
}
