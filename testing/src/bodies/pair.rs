//! A client and a server over a simulated network: any segments, delays, a link with little capacity, ends that do
//! not read for a while, clocks that jump, Closes that cross, transports that break.
//!
//! Everything that one end wrote in complete frames arrives at the other whole, once and in order, until that end
//! has ended. Both ends end exactly once. If they were not disturbed, both end cleanly.

use std::{sync::Arc, time::Duration};

use proto::{ConnectionError, Deadline, Instant, Lost, Role, State};

use crate::{
    bodies::{
        application,
        choices::Choices,
        end::{End, Terminal},
        entropy,
        inbox::Inbox,
        opening, options, tally,
    },
    ends::{
        BOTH,
        link::Link,
        other,
        pair::{self, Port},
    },
};

/// Runs the choices in `data`, and panics if a promise is broken.
pub fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    let Some(mut pair) = Pair::new(&mut choices) else {
        return;
    };
    while !choices.are_over() && !pair.is_over() {
        pair.step(&mut choices);
    }
    pair.finish();
}

struct Pair {
    ends: pair::Pair<Side>,
    /// Whether a deadline that passed or a lost transport may have caused what follows.
    broken: bool,
    disturbed: bool,
}

struct Side {
    end: End,
    port: Port,
    inbox: Inbox,
    /// Whether it pulls chunks.
    chunks: bool,
    /// Whether its application has answered the peer's Close.
    answered: bool,
    /// The number of bytes that move at a time.
    segment: usize,
    copies: bool,
}

impl Pair {
    fn new(choices: &mut Choices<'_>) -> Option<Self> {
        entropy::reset(u32::MAX);
        let mut config = || {
            let mut config = options::config(choices);
            config.max_message_size = 64 << 20;
            config.max_frame_size = None;
            config.max_stream_size = u64::MAX;
            config.max_fragments = u32::MAX;
            let least = |after: Duration| after.max(Duration::from_secs(1));
            config.keep_alive = config.keep_alive.map(least);
            if choices.below(8) < 6 {
                config.pong_timeout = config.pong_timeout.map(least);
                config.close_timeout = config.close_timeout.map(least);
                config.write_timeout = config.write_timeout.map(least);
                (config.message_timeout, config.idle_timeout) = (None, None);
            }
            Arc::new(config)
        };
        let configs = [config(), config()];
        let now = Instant::EPOCH;
        let (client, server) = opening::open(&configs[0], &configs[1])?;
        let capacity = choices.of(&[usize::MAX, 64 << 10, 4096, 300]);
        // Over a link that is both narrow and slow, nothing would end in time.
        let delay = match capacity {
            ..65_536 => Duration::ZERO,
            _ => Duration::from_millis(choices.of(&[0, 0, 1, 40])),
        };
        let mut side = |role, connection, config| {
            let segment = choices.of(&[usize::MAX, 1460, 100, 7, 1]);
            Side {
                end: End::new(role, connection, config, now),
                port: Port::new(Link::new(capacity, delay)),
                inbox: Inbox::default(),
                chunks: choices.flip(),
                answered: false,
                segment,
                // A read into the end's own memory costs 16 KiB, however little comes.
                copies: segment.min(capacity) < 1460 || choices.flip(),
            }
        };
        let ends = pair::Pair {
            client: side(Role::Client, client, &configs[0]),
            server: side(Role::Server, server, &configs[1]),
            now,
        };
        // Deadlines that the network alone may exceed.
        let short = configs.iter().any(|config| {
            let all = [
                config.pong_timeout,
                config.close_timeout,
                config.write_timeout,
                config.message_timeout,
                config.idle_timeout,
            ];
            all.into_iter()
                .flatten()
                .any(|after| after < Duration::from_secs(1))
                || config.message_timeout.is_some()
                || config.idle_timeout.is_some()
        });
        Some(Self {
            ends,
            broken: false,
            disturbed: short,
        })
    }

    fn is_over(&mut self) -> bool {
        self.ends
            .sides()
            .iter()
            .all(|side| side.end.state() == State::Closed)
    }

    fn step(&mut self, choices: &mut Choices<'_>) {
        let role = choices.of(&BOTH);
        let side = self.ends.side(role);
        match choices.below(32) {
            0..=7 => application::send(&mut side.end, choices),
            8..=11 => application::chunk(&mut side.end, choices),
            12 => application::control(&mut side.end, choices),
            13 if choices.one_in(4) => side.end.close(application::close_frame(choices)),
            14 => side.end.split(),
            15 if choices.one_in(3) => side.port.reads = false,
            16 => side.port.reads = true,
            17..=21 => drop(self.ends.write(role)),
            22..=25 => drop(self.ends.read(role)),
            26..=27 => self.ends.settle(),
            28 => self.pass(Duration::from_millis(1 << choices.below(12))),
            29 => self.pass(Duration::from_millis(1 << choices.below(20))),
            30 if choices.one_in(4) => self.jump(Duration::from_secs(1 << choices.below(16))),
            31 if choices.one_in(3) => self.fault(role, choices),
            _ => side.end.take_back(),
        }
    }

    /// Damages the transport, or makes one end abort.
    fn fault(&mut self, role: Role, choices: &mut Choices<'_>) {
        self.broken = true;
        let now = self.ends.now;
        match choices.below(6) {
            0 => {
                for side in self.ends.sides() {
                    side.lose(choices.of(&[Lost::Reset, Lost::Failed]));
                }
            }
            1 => self.ends.side(role).lose(Lost::Reset),
            2 => self.ends.side(role).port.link.end(now),
            3 => {
                for side in self.ends.sides() {
                    side.port.link.end(now);
                }
            }
            4 => {
                for side in self.ends.sides() {
                    side.port.link.is_black_hole = true;
                }
            }
            _ => {
                self.ends.side(role).end.abort();
                self.ends.side(other(role)).port.link.end(now);
            }
        }
    }

    /// Lets time pass, and both ends keep up with it.
    fn pass(&mut self, duration: Duration) {
        self.ends.pass(duration);
        self.disturbed |= self.ends.sides().iter().any(|side| !side.port.reads);
    }

    /// Lets both machines sleep, and wake up much later.
    fn jump(&mut self, duration: Duration) {
        self.disturbed = true;
        self.ends.now = self.ends.now.checked_add(duration).unwrap();
        self.ends.settle();
    }

    // ---- The end ----------------------------------------------------------------------------------

    fn finish(&mut self) {
        for side in self.ends.sides() {
            side.port.reads = true;
        }
        self.ends.settle();
        self.ends.client.end.close(None);
        self.ends.settle();
        // Without a deadline neither end gives up a peer that has vanished.
        if self.ends.client.port.link.is_black_hole {
            self.pass(Duration::from_secs(3600));
            for side in self.ends.sides() {
                side.end.close(None);
            }
        }
        self.pass(Duration::from_secs(600));
        // Nothing takes the waiting output, and without a deadline it waits forever.
        if self.broken || self.disturbed {
            for side in self.ends.sides() {
                side.lose(Lost::Failed);
            }
        }
        self.ends.settle();
        for side in self.ends.sides() {
            side.assert_over(self.broken, self.disturbed);
        }
        tally::count(match (self.broken, self.disturbed) {
            (true, _) => "broken transport",
            (false, true) => "disturbed pair",
            (false, false) => "clean pair",
        });
        if !self.broken && !self.disturbed {
            self.assert_clean();
        }
    }

    /// Checks that both ends ended with a Close, and know of each other's.
    fn assert_clean(&mut self) {
        for role in BOTH {
            let closed = self.ends.side(role).end.closed().unwrap();
            assert!(closed.clean, "{closed:?}");
            let peer = self.ends.side(other(role));
            let body = peer.end.outbox.close.as_deref().unwrap();
            let code = body
                .first_chunk()
                .map_or(1005, |code| u16::from_be_bytes(*code));
            assert_eq!(closed.code, code);
            assert_eq!(closed.cause, None);
        }
    }
}

impl pair::Side for Side {
    fn port(&mut self) -> &mut Port {
        &mut self.port
    }

    fn state(&self) -> State {
        self.end.state()
    }

    fn wants_shutdown(&self) -> bool {
        self.end.wants_shutdown()
    }

    /// A long message moves in larger and larger steps.
    fn segment(&self, round: u32) -> usize {
        self.segment.saturating_mul(1 << (round >> 5).min(20))
    }

    fn write_to(&mut self, peer: &mut Self, most: usize) -> Vec<u8> {
        let (bytes, said) = self.end.write(most, true, self.copies);
        if !peer.port.link.is_black_hole {
            peer.inbox.is_sent(said);
        }
        bytes
    }

    fn read_from(&mut self, bytes: &[u8]) -> Option<usize> {
        if self.copies {
            Some(self.end.receive(bytes))
        } else if self.end.state() == State::Closed {
            None
        } else {
            // Nothing is read after the end of the peer's direction.
            Some(self.end.read(bytes).unwrap_or(bytes.len()))
        }
    }

    fn eof(&mut self) {
        self.end.eof();
    }

    fn poll(&mut self) {
        loop {
            match self.end.poll(self.chunks) {
                Ok(Some(event)) => self.inbox.heard(event),
                Ok(None) => return self.end.take_back(),
                Err(_) => {}
            }
        }
    }

    fn has_heard_all(&mut self) {
        self.inbox.assert_all_heard(&self.end);
    }

    /// Acts as an application that answers a Close itself.
    fn act(&mut self) -> bool {
        let was_told = matches!(self.end.terminal, Some(Terminal::Close(_)));
        if self.answered || self.end.config.reply_to_close || !was_told {
            return false;
        }
        self.answered = true;
        self.end.close(None);
        true
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.end.poll_timeout()
    }

    fn tick(&mut self, now: Instant) -> bool {
        self.end.now = now;
        self.end.tick()
    }
}

impl Side {
    fn lose(&mut self, lost: Lost) {
        if self.end.state() != State::Closed {
            self.end.lose(lost);
            self.port.told_eof = true;
            pair::Side::poll(self);
        }
    }

    fn assert_over(&mut self, broken: bool, disturbed: bool) {
        assert_eq!(self.end.state(), State::Closed);
        let closed = self.end.closed().unwrap();
        assert_eq!(Some(closed.initiator), self.end.initiator);
        match self.end.terminal {
            Some(Terminal::Close(_)) => self.inbox.assert_empty(),
            Some(Terminal::Error(ConnectionError::Lost(_))) => assert!(broken || disturbed),
            Some(Terminal::Error(ConnectionError::TimedOut(deadline))) => {
                assert!(broken || disturbed, "{deadline}");
                assert!(deadline != Deadline::Handshake);
            }
            Some(Terminal::Error(error)) => panic!("{error}"),
            None => assert!(broken, "an end without a reason"),
        }
    }
}
