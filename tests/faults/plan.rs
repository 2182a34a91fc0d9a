//! What is to go wrong with one end of a connection, and when.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard},
};

/// How a call of the transport fails.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    /// It fails, once.
    Error,
    /// From now on there is nothing at the other end.
    Eof,
    /// From now on the connection is reset, and what was under way is lost.
    Reset,
    /// It is interrupted by a signal.
    Interrupted,
    /// It cannot go on yet; for who blocks, its time is over.
    Pending,
    /// It moves one byte, whatever there is.
    Short,
    /// It moves no byte.
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

/// What a call of the transport is to do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// What it does, with no more than so many bytes.
    Go(usize),
    Nothing,
    Later,
    Fail(io::ErrorKind),
    /// What it does when there is no longer anything behind it.
    Dead(Fault),
}

/// Shared by a transport and the test.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    fault: Option<(usize, Fault)>,
    /// The calls that count are made.
    armed: bool,
    calls: usize,
    hit: Option<Call>,
    dead: Option<Fault>,
    /// The transport has not been dropped.
    lives: bool,
}

impl Plan {
    /// Call `number`, from 1, fails so; of the opening handshake, or of what comes behind it.
    pub(crate) fn new(fault: Option<(usize, Fault)>, from_start: bool) -> Self {
        Self(Arc::new(Mutex::new(State {
            fault,
            armed: from_start,
            ..State::default()
        })))
    }

    /// The opening handshake is done.
    pub(crate) fn arm(&self) {
        self.state().armed = true;
    }

    /// What it hit.
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
            // Nobody waits to be told what time it may take.
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

/// What a call comes to when nothing is left behind the transport.
pub(crate) fn dead(fault: Fault, call: Call) -> io::Result<usize> {
    match (fault, call) {
        (_, Call::Shutdown | Call::SetTimeout) => Ok(0),
        (Fault::Eof, Call::Read) => Ok(0),
        (Fault::Eof, _) => Err(io::ErrorKind::BrokenPipe.into()),
        _ => Err(io::ErrorKind::ConnectionReset.into()),
    }
}
