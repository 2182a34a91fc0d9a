//! If the process is stopped for longer than a deadline, the transport is asked before the deadline is
//! judged.

use std::{
    collections::VecDeque,
    io::{self, Write as _},
    net::Shutdown,
    sync::{Arc, Mutex},
    time::Duration,
};

use bowline_blocking::{
    BlockingTransport, Clock, Config, Io, Negotiated, Role, Time, WebSocket, from_parts,
    proto::Instant,
};

const SECOND: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct Machine(Mutex<Duration>);

impl Machine {
    fn pass(&self, time: Duration) {
        *self.0.lock().unwrap() += time;
    }
}

impl Time for Machine {
    fn now(&self) -> Instant {
        Instant::from_epoch(*self.0.lock().unwrap())
    }

    fn park(&self, until: Option<Instant>) {
        let mut now = self.0.lock().unwrap();
        let until = until.expect("nothing wakes this thread").since_epoch();
        *now = until.max(*now);
    }

    fn unpark(&self, _: &std::thread::Thread) {}
}

/// The result of a call of the transport.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The call takes or returns this many bytes.
    Moves(usize),
    /// The process is stopped for this long during the call.
    Stops(Duration),
    /// The call times out.
    Waits,
}

/// A transport whose calls follow a script. After its end, reads wait and writes take everything.
struct Script {
    machine: Arc<Machine>,
    reads: Mutex<VecDeque<Step>>,
    writes: Mutex<VecDeque<Step>>,
    input: Mutex<VecDeque<u8>>,
    read_timeout: Mutex<Option<Duration>>,
}

impl BlockingTransport for Script {
    fn read(&self, mut buf: &mut [u8]) -> io::Result<usize> {
        let step = self.reads.lock().unwrap().pop_front();
        match step.unwrap_or(Step::Waits) {
            Step::Moves(len) => {
                let bytes: Vec<u8> = self.input.lock().unwrap().drain(..len).collect();
                buf.write_all(&bytes)?;
                return Ok(len);
            }
            Step::Stops(time) => self.machine.pass(time),
            Step::Waits => {
                let timeout = self.read_timeout.lock().unwrap();
                self.machine.pass(timeout.expect("it waits forever"));
            }
        }
        Err(io::ErrorKind::Interrupted.into())
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let step = self.writes.lock().unwrap().pop_front();
        match step.unwrap_or(Step::Moves(usize::MAX)) {
            Step::Moves(len) => return Ok(len.min(bytes.len())),
            Step::Stops(time) => self.machine.pass(time),
            Step::Waits => self.machine.pass(Duration::from_millis(8)),
        }
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        *self.read_timeout.lock().unwrap() = timeout;
        Ok(())
    }

    fn set_write_timeout(&self, _: Option<Duration>) -> io::Result<()> {
        Ok(())
    }

    fn shutdown(&self, _: Shutdown) -> io::Result<()> {
        Ok(())
    }

    fn clock(&self) -> Clock {
        Clock::new(self.machine.clone())
    }
}

fn script(reads: &[Step], writes: &[Step], input: &[u8]) -> Arc<Script> {
    Arc::new(Script {
        machine: Arc::new(Machine(Mutex::new(1000 * SECOND))),
        reads: Mutex::new(reads.iter().copied().collect()),
        writes: Mutex::new(writes.iter().copied().collect()),
        input: Mutex::new(input.iter().copied().collect()),
        read_timeout: Mutex::default(),
    })
}

fn client(script: &Arc<Script>, change: impl FnOnce(&mut Config)) -> WebSocket<Io<Arc<Script>>> {
    let mut config = Config::default();
    change(&mut config);
    from_parts(
        script.clone(),
        &[],
        Negotiated::default(),
        Role::Client,
        config,
    )
}

/// When the process goes on, the peer has read everything.
#[test]
fn a_send_asks_before_the_write_deadline_is_judged() {
    for split in [false, true] {
        for waits in [0, 1, 2, 5] {
            let mut writes = vec![Step::Moves(1000)];
            writes.extend(vec![Step::Waits; waits]);
            writes.push(Step::Stops(3 * SECOND));
            let script = script(&[], &writes, &[]);
            let mut client = client(&script, |config| {
                config.write_timeout = Some(SECOND * 3 / 2);
                config.keep_alive = None;
            });
            let sent = if split {
                let (_reader, writer) = client.split();
                writer.send(vec![0; 1 << 20])
            } else {
                client.send(vec![0; 1 << 20])
            };
            assert!(sent.is_ok(), "{sent:?}, split: {split}, waits: {waits}");
        }
    }
}

/// A peer that takes nothing is still cut off, and no later than otherwise.
#[test]
fn a_send_to_a_peer_that_takes_nothing_is_cut_all_the_same() {
    let writes = vec![Step::Waits; 10_000];
    let script = script(&[], &writes, &[]);
    let mut client = client(&script, |config| {
        config.write_timeout = Some(SECOND);
        config.keep_alive = None;
    });
    assert!(client.send(vec![0; 1 << 20]).is_err());
    let took = script.clock_now() - 1000 * SECOND;
    assert!(took < SECOND + Duration::from_millis(50), "{took:?}");
}

impl Script {
    fn clock_now(&self) -> Duration {
        *self.machine.0.lock().unwrap()
    }
}

/// Input that arrived meanwhile is a sign of life, or exactly what the call waited for.
#[test]
fn a_recv_asks_before_a_deadline_of_receiving_is_judged() {
    let text = [0x81, 2, b'h', b'i'];
    let half = [0x01, 1, b'h', 0x80, 1, b'i'];
    for split in [false, true] {
        for (input, first, name) in [
            (&text[..], 0, "pong_timeout"),
            (&text[..], 0, "idle_timeout"),
            (&half[..], 3, "message_timeout"),
        ] {
            let mut reads = Vec::new();
            if first > 0 {
                reads.push(Step::Moves(first));
            }
            // The keep-alive Ping is sent after 20 s of silence.
            reads.extend(if name == "pong_timeout" {
                vec![Step::Waits; 4]
            } else {
                vec![]
            });
            reads.push(Step::Stops(3600 * SECOND));
            reads.push(Step::Moves(input.len() - first));
            let script = script(&reads, &[], input);
            let mut client = client(&script, |config| match name {
                "idle_timeout" => config.idle_timeout = Some(30 * SECOND),
                "message_timeout" => config.message_timeout = Some(30 * SECOND),
                _ => {}
            });
            let received = if split {
                client.split().0.recv()
            } else {
                client.recv()
            };
            match received {
                Ok(Some(message)) => assert_eq!(message.as_bytes().as_ref(), b"hi"),
                other => panic!("{name}, split: {split}: {other:?}"),
            }
        }
    }
}
