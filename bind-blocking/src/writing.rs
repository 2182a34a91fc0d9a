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

/// The most bytes that wait to be written.
const ROOM: usize = 64 << 10;

/// The bytes on their way to a transport. One thread at a time has the right to write, and also writes
/// what the others have put here.
#[derive(Default)]
pub(crate) struct Writing(Mutex<State>);

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    /// Whether the transport may hold back bytes that it has taken.
    unflushed: bool,
    end: End,
    failed: bool,
    error: Option<io::Error>,
    /// Whether a thread is writing.
    busy: bool,
    /// Whether the transport took nothing the last time.
    stuck: bool,
    /// How many threads will write the bytes that remain here.
    parked: usize,
    /// Wakes one of these threads.
    waker: Option<Waker>,
}

/// The state of our direction of the transport.
#[derive(Clone, Copy, Default, PartialEq)]
enum End {
    #[default]
    Open,
    Wanted,
    Done,
}

impl Writing {
    /// For the driver: takes as many bytes as there is room for.
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

    /// For the driver of a socket that is not split: writes without a copy. Returns `None` if other
    /// bytes have to go first, or if the transport took nothing. Blocks as [`write`](Self::write) does.
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

    /// For the driver: waits until everything that it put here has been written and flushed.
    pub(crate) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.state();
        state.check()?;
        if state.bytes.is_empty() && !state.unflushed && !state.busy {
            return Poll::Ready(Ok(()));
        }
        state.pending(cx)
    }

    /// Ends our direction once the bytes here are written.
    pub(crate) fn end(&self) {
        let mut state = self.state();
        if state.end == End::Open {
            state.end = End::Wanted;
        }
    }

    /// For the driver: waits until our direction has ended or failed.
    pub(crate) fn poll_end(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state();
        if state.failed || state.end == End::Done {
            return Poll::Ready(());
        }
        state.pending(cx)
    }

    /// Returns whether our direction is still to end.
    pub(crate) fn is_ending(&self) -> bool {
        self.state().end == End::Wanted
    }

    /// Returns whether the transport took something the last time.
    pub(crate) fn flows(&self) -> bool {
        !self.state().stuck
    }

    /// Returns whether there is something to write that no thread is writing.
    pub(crate) fn is_free(&self) -> bool {
        self.state().is_free()
    }

    /// Writes, and blocks for as long as the transport lets a write wait. Returns whether something was
    /// written or there was nothing to write.
    pub(crate) fn write(&self, transport: &(impl BlockingTransport + ?Sized)) -> bool {
        self.write_by(transport, |bytes| transport.write(bytes))
    }

    /// As [`write`](Self::write), without blocking if the transport can do that.
    pub(crate) fn try_write(&self, transport: &(impl BlockingTransport + ?Sized)) -> bool {
        self.write_by(transport, |bytes| transport.try_write(bytes))
    }

    /// Returns how many bytes wait here.
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
            // These go before the bytes that were put here during the write.
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
        // The driver may be waiting for exactly this, and the writing thread need not poll it again.
        let waker = state.waker.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
        true
    }

    /// Waits with `park`, unless there is something that this thread may do.
    pub(crate) fn park(&self, may_go_on: impl FnOnce() -> bool, park: impl FnOnce()) {
        let state = self.state();
        if state.is_free() || may_go_on() {
            return;
        }
        drop(state);
        self.stand_by(park);
    }

    /// Runs `meanwhile` with this thread counted as one that will write the bytes that others leave
    /// here.
    pub(crate) fn stand_by<U>(&self, meanwhile: impl FnOnce() -> U) -> U {
        self.enter();
        let value = meanwhile();
        self.leave();
        value
    }

    /// Runs `meanwhile` without counting this thread as one that will write.
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

    /// Returns whether there is nothing to write and no thread is writing.
    pub(crate) fn is_empty(&self) -> bool {
        let state = self.state();
        !state.has_bytes() && !state.busy
    }

    /// Leaves the unwritten bytes to a thread that waits to write, and wakes it. Returns whether there
    /// are bytes but no such thread.
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

    /// Records that nothing more will be written.
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

/// Writes and flushes. Returns how many of `bytes` the transport took, and whether it has passed all of
/// them on.
fn write_all(
    transport: &(impl BlockingTransport + ?Sized),
    write: impl Fn(&[u8]) -> io::Result<usize>,
    bytes: &[u8],
    end: End,
) -> (usize, io::Result<()>) {
    let mut written = 0;
    while let Some(remainder) = bytes.get(written..)
        && !remainder.is_empty()
    {
        match write(remainder) {
            Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
            Ok(len) => written += len.min(remainder.len()),
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

    /// Takes three bytes every other time, and times out in between. More bytes are queued during its
    /// first write.
    struct Slow {
        writing: Arc<Writing>,
        taken: Mutex<Vec<u8>>,
        writes: AtomicUsize,
        /// How many more flushes time out.
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

    fn is_written(writing: &Writing) -> bool {
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
        while !is_written(&writing) {
            writing.write(&transport);
            steps += 1;
            assert!(steps < 100);
        }
        assert_eq!(*transport.taken.lock().unwrap(), b"something and more");
        // The flush succeeded at the third try.
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
