//! Plans what is to go wrong with one end of a connection, and when.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard},
};

/// The way in which a call of the transport fails.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    /// The call fails, once.
    Error,
    /// The other end is gone from now on.
    Eof,
    /// The connection is reset from now on, and bytes on their way are lost.
    Reset,
    /// The call is interrupted by a signal.
    Interrupted,
    /// The call cannot go on yet. A call that blocks times out.
    Pending,
    /// The call moves only one byte.
    Short,
    /// The call moves no bytes.
    Zero,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Call {
    Read,
    Write,
    Flush,
    Shutdown,
    SetTimeout,
}

/// The instruction for a call of the transport.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// Performs the call, with at most this many bytes.
    Go(usize),
    Nothing,
    Later,
    Fail(io::ErrorKind),
    /// Behaves as if there were no longer anything behind the transport.
    Dead(Fault),
}

/// A plan, shared by a transport and the test.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    fault: Option<(usize, Fault)>,
    /// Whether calls are counted.
    armed: bool,
    calls: usize,
    hit: Option<Call>,
    dead: Option<Fault>,
    /// Whether the transport has not been dropped yet.
    lives: bool,
}

impl Plan {
    /// Plans that a call fails. The number counts from 1, from the start or from the end of the opening
    /// handshake.
    pub(crate) fn new(fault: Option<(usize, Fault)>, from_start: bool) -> Self {
        Self(Arc::new(Mutex::new(State {
            fault,
            armed: from_start,
            ..State::default()
        })))
    }

    /// Records that the opening handshake is done.
    pub(crate) fn arm(&self) {
        self.state().armed = true;
    }

    /// Returns which call the fault hit.
    pub(crate) fn hit(&self) -> Option<Call> {
        self.state().hit
    }

    pub(crate) fn lives(&self) -> bool {
        self.state().lives
    }

    pub(crate) fn set_lives(&self, lives: bool) {
        self.state().lives = lives;
    }

    pub(crate) fn call(&self, call: Call) -> Verdict {
        let mut state = self.state();
        if let Some(dead) = state.dead {
            return Verdict::Dead(dead);
        }
        if state.armed {
            state.calls += 1;
        }
        let Some((number, fault)) = state.fault else {
            return Verdict::Go(usize::MAX);
        };
        if !state.armed || state.calls != number {
            return Verdict::Go(usize::MAX);
        }
        state.hit = Some(call);
        let moves = matches!(call, Call::Read | Call::Write);
        match fault {
            Fault::Error => Verdict::Fail(io::ErrorKind::Other),
            // Setting a timeout does not wait, so it cannot be interrupted.
            Fault::Interrupted | Fault::Pending if call == Call::SetTimeout => {
                Verdict::Go(usize::MAX)
            }
            Fault::Interrupted => Verdict::Fail(io::ErrorKind::Interrupted),
            Fault::Pending => Verdict::Later,
            Fault::Short if moves => Verdict::Go(1),
            Fault::Zero if moves => Verdict::Nothing,
            Fault::Short | Fault::Zero => Verdict::Go(usize::MAX),
            Fault::Eof | Fault::Reset => {
                state.dead = Some(fault);
                Verdict::Dead(fault)
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

/// Returns the result of a call after the other side of the transport is gone.
pub(crate) fn dead(fault: Fault, call: Call) -> io::Result<usize> {
    match (fault, call) {
        (_, Call::Shutdown | Call::SetTimeout) => Ok(0),
        (Fault::Eof, Call::Read) => Ok(0),
        (Fault::Eof, _) => Err(io::ErrorKind::BrokenPipe.into()),
        _ => Err(io::ErrorKind::ConnectionReset.into()),
    }
}
