//! The laws of the core (`docs/architecture.md`), each with the tests that fail without it.

mod arrived;
mod closing;
mod deadlines;
mod end;
mod halves;
mod idle;
mod keep_alive;
mod limits;
mod owed;
mod pull;
mod text;
mod unsolicited;
mod waiting;

use bowline_proto::{Config, ConnectionError, Deadline, Event, Instant, ProtocolError, Role};
use testing::ends::{End, secs};

fn protocol(error: ProtocolError) -> ConnectionError {
    ConnectionError::Protocol(error)
}

/// The only deadline that is on.
fn only(role: Role, change: impl FnOnce(&mut Config)) -> End {
    End::with(role, |config| {
        config.keep_alive = None;
        config.pong_timeout = None;
        config.close_timeout = None;
        config.write_timeout = None;
        change(config);
    })
}

fn timed_out(deadline: Deadline) -> [Result<Event, ConnectionError>; 1] {
    [Err(ConnectionError::TimedOut(deadline))]
}

fn at(seconds: u64) -> Instant {
    Instant::from_epoch(secs(seconds))
}
