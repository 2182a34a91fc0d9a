use std::{cell::Cell, io, sync::PoisonError, task::Poll, time::Duration};

use crate::{
    Transport,
    clock::{MayWait, Wants},
    sync::{Mutex, MutexGuard},
    transport::timed_out,
};

/// The most that is read at a time, in bytes.
const ROOM: usize = 128 << 10;

thread_local! {
    /// What a thread reads into, kept while it has nothing to say.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// What is on its way from a transport. One thread at a time has the right to read.
#[derive(Default)]
pub(crate) struct Reading(Mutex<State>);

#[derive(Default)]
struct State {
    /// Received bytes are `start..end`.
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// There will be nothing more, perhaps for a reason.
    ended: bool,
    error: Option<io::Error>,
    /// Somebody reads.
    busy: bool,
    /// What the transport was told last.
    timeout: Option<Option<Duration>>,
}

impl Reading {
    /// For the driver: what was read, or the end. What is not there is read straight into `buf` if that may
    /// wait.
    pub(crate) fn poll_read(
        &self,
        transport: &impl Transport,
        buf: &mut [u8],
        may_wait: Option<MayWait>,
    ) -> Poll<io::Result<usize>> {
        let mut state = self.state();
        if let Some(bytes) = state.bytes.get(state.start..state.end)
            && !bytes.is_empty()
        {
            let len = bytes.len().min(buf.len());
            buf[..len].copy_from_slice(&bytes[..len]);
            state.start += len;
            if state.start == state.end {
                BUFFER.set(std::mem::take(&mut state.bytes));
            }
            return Poll::Ready(Ok(len));
        }
        if state.ended {
            return Poll::Ready(state.error.take().map_or(Ok(0), Err));
        }
        drop(state);
        if let Some(time) = may_wait
            && let Some(read) = self.read_into(transport, time, buf)
        {
            self.state().ended = !matches!(read, Ok(1..));
            return Poll::Ready(read);
        }
        Wants::note(|wants| wants.read = true);
        Poll::Pending
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.state().busy
    }

    /// Reads once; blocks for `time`, or for ever. Whether something came, the end included.
    pub(crate) fn read(&self, transport: &impl Transport, time: MayWait) -> bool {
        if std::mem::replace(&mut self.state().busy, true) {
            return false;
        }
        let mut buffer = BUFFER.take();
        if buffer.is_empty() {
            // Memory that nothing was read into is not touched.
            buffer = vec![0; ROOM];
        }
        let read = self.read_into(transport, time, &mut buffer);
        let mut state = self.state();
        state.busy = false;
        match read {
            Some(Ok(0)) => state.ended = true,
            Some(Ok(len)) => {
                (state.start, state.end) = (0, len);
                state.bytes = buffer;
            }
            Some(Err(error)) => state.fail(error),
            None => {
                BUFFER.set(buffer);
                return false;
            }
        }
        true
    }

    /// What one read gives that waits for `time`, or for ever; `None` if nothing came.
    fn read_into(
        &self,
        transport: &impl Transport,
        time: MayWait,
        buf: &mut [u8],
    ) -> Option<io::Result<usize>> {
        let timeout = time.map(rounded);
        let told = self.state().timeout.replace(timeout);
        let set = if told == Some(timeout) {
            Ok(())
        } else {
            transport.set_read_timeout(timeout)
        };
        match set.and_then(|()| transport.read(buf)) {
            Err(error) if timed_out(&error) => None,
            read => Some(read.map(|len| len.min(buf.len()))),
        }
    }

    /// There will be nothing to read.
    pub(crate) fn fail(&self, error: io::Error) {
        self.state().fail(error);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn fail(&mut self, error: io::Error) {
        self.ended = true;
        self.error = Some(error);
    }
}

/// A power of two of milliseconds, no longer than `time` if that is one at least: so the transport is
/// not told anew for each read that the deadline has come nearer.
fn rounded(time: Duration) -> Duration {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
    Duration::from_millis(1 << millis.ilog2().min(40))
}
