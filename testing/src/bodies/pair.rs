//! A client and a server over a simulated network: any segments, delay, a link that holds little, ends that
//! do not read for a while, clocks that jump, Closes that cross, transports that break.
//!
//! Whatever one end wrote in whole frames arrives at the other whole, once and in order, until that has
//! ended; both end, once; and if nothing was done to them both end well.

use std::{sync::Arc, time::Duration};

use proto::{Deadline, Instant, Lost, RecvError, Role, State};

use crate::bodies::{
    application,
    choices::Choices,
    end::{End, Terminal},
    entropy,
    inbox::Inbox,
    link::Link,
    opening, options, tally,
};

/// Runs what `data` chooses, and panics where a promise is broken.
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
    sides: [Side; 2],
    now: Instant,
    /// What may have to do with a deadline that passed, or a transport that was lost.
    broken: bool,
    disturbed: bool,
}

struct Side {
    end: End,
    /// On the way to it.
    link: Link,
    inbox: Inbox,
    /// Pulls chunks.
    chunks: bool,
    /// Polls and reads, or does neither.
    reads: bool,
    told_eof: bool,
    shut: bool,
    /// Its application has answered the peer's Close.
    answered: bool,
    /// How many bytes move at a time.
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
        // Over a link that is narrow and long nothing would end in time.
        let delay = match capacity {
            ..65_536 => Duration::ZERO,
            _ => Duration::from_millis(choices.of(&[0, 0, 1, 40])),
        };
        let mut side = |role, connection, config| {
            let segment = choices.of(&[usize::MAX, 1460, 100, 7, 1]);
            Side {
                end: End::new(role, connection, config, now),
                link: Link::new(capacity, delay),
                inbox: Inbox::default(),
                chunks: choices.flip(),
                reads: true,
                told_eof: false,
                shut: false,
                answered: false,
                segment,
                // A read into memory of its own costs 16 KiB, however little comes.
                copies: segment.min(capacity) < 1460 || choices.flip(),
            }
        };
        let sides = [
            side(Role::Client, client, &configs[0]),
            side(Role::Server, server, &configs[1]),
        ];
        // Deadlines that the network alone may miss.
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
            sides,
            now,
            broken: false,
            disturbed: short,
        })
    }

    fn is_over(&mut self) -> bool {
        self.sides
            .iter_mut()
            .all(|side| side.end.state() == State::Closed)
    }

    fn step(&mut self, choices: &mut Choices<'_>) {
        let which = choices.below(2);
        let side = &mut self.sides[which];
        match choices.below(32) {
            0..=7 => application::send(&mut side.end, choices),
            8..=11 => application::chunk(&mut side.end, choices),
            12 => application::control(&mut side.end, choices),
            13 if choices.one_in(4) => side.end.close(application::close_frame(choices)),
            14 => side.end.split(),
            15 if choices.one_in(3) => side.reads = false,
            16 => side.reads = true,
            17..=21 => {
                let segment = side.segment;
                self.write(which, segment);
            }
            22..=25 => {
                let segment = side.segment;
                self.read(which, segment);
            }
            26..=27 => self.settle(),
            28 => self.pass(Duration::from_millis(1 << choices.below(12))),
            29 => self.pass(Duration::from_millis(1 << choices.below(20))),
            30 if choices.one_in(4) => self.jump(Duration::from_secs(1 << choices.below(16))),
            31 if choices.one_in(3) => self.fault(which, choices),
            _ => side.end.take_back(),
        }
    }

    /// Something happens to the transport, or one end gives it up.
    fn fault(&mut self, which: usize, choices: &mut Choices<'_>) {
        self.broken = true;
        let now = self.now;
        match choices.below(6) {
            0 => {
                for side in &mut self.sides {
                    side.lose(choices.of(&[Lost::Reset, Lost::Failed]));
                }
            }
            1 => self.sides[which].lose(Lost::Reset),
            2 => self.sides[which].link.end(now),
            3 => {
                for side in &mut self.sides {
                    side.link.end(now);
                }
            }
            4 => {
                for side in &mut self.sides {
                    side.link.is_black_hole = true;
                }
            }
            _ => {
                self.sides[which].end.abort();
                self.sides[1 - which].link.end(now);
            }
        }
    }

    // ---- What a driver does -----------------------------------------------------------------------

    /// One write; tells whether anything moved.
    fn write(&mut self, which: usize, segment: usize) -> bool {
        let now = self.now;
        let [client, server] = &mut self.sides;
        let (side, peer) = match which {
            0 => (client, server),
            _ => (server, client),
        };
        if side.end.state() == State::Closed {
            if !side.shut {
                side.shut = true;
                peer.link.end(now);
                return true;
            }
            return false;
        }
        let most = segment.min(peer.link.room());
        let (bytes, said) = side.end.write(most, true, side.copies);
        let moved = !bytes.is_empty();
        if !peer.link.is_black_hole {
            peer.inbox.is_sent(said);
        }
        peer.link.put(bytes, now);
        if !moved && !side.shut && side.end.wants_shutdown() {
            side.shut = true;
            peer.link.end(now);
            return true;
        }
        moved
    }

    /// One read, and all events it brings; tells whether there was anything.
    fn read(&mut self, which: usize, segment: usize) -> bool {
        let now = self.now;
        let side = &mut self.sides[which];
        if !side.reads || side.told_eof || side.end.state() == State::Closed {
            return false;
        }
        side.poll();
        let bytes = side.link.front(now);
        let bytes = &bytes[..bytes.len().min(segment)];
        if bytes.is_empty() {
            if side.link.has_ended(now) {
                side.told_eof = true;
                side.end.eof();
                side.poll();
            }
            return side.told_eof;
        }
        let taken = if side.copies {
            side.end.receive(bytes)
        } else if side.end.state() == State::Closed {
            return false;
        } else {
            // None behind the end of the peer's direction.
            side.end.read(bytes).unwrap_or(bytes.len())
        };
        side.link.took(taken);
        side.poll();
        if side.link.is_empty() && !side.told_eof {
            side.inbox.assert_all_heard(&side.end);
        }
        true
    }

    fn tick(&mut self, which: usize) {
        let side = &mut self.sides[which];
        side.end.now = self.now;
        if side.end.tick() && side.reads {
            side.poll();
        }
    }

    /// Moves bytes until nothing moves, and tells the time.
    fn settle(&mut self) {
        for round in 0..1_000_000 {
            let mut moved = false;
            for which in [0, 1] {
                // What is long takes larger and larger steps.
                let segment = self.sides[which]
                    .segment
                    .saturating_mul(1 << (round >> 5).min(20));
                moved |= self.write(which, segment);
                moved |= self.read(which, segment);
                self.tick(which);
                moved |= self.answer(which);
            }
            if !moved {
                return;
            }
        }
        panic!("they never come to rest");
    }

    /// An application that answers a Close itself; tells whether it did now.
    fn answer(&mut self, which: usize) -> bool {
        let side = &mut self.sides[which];
        if side.answered
            || side.end.config.reply_to_close
            || !matches!(side.end.terminal, Some(Terminal::Close(_)))
        {
            return false;
        }
        side.answered = true;
        side.end.close(None);
        true
    }

    /// Time passes, and both ends keep up with it.
    fn pass(&mut self, duration: Duration) {
        let until = self.now.checked_add(duration).unwrap();
        self.settle();
        while let Some(at) = self.next().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.settle();
        }
        self.now = until;
        self.settle();
        self.disturbed |= self.sides.iter().any(|side| !side.reads);
    }

    /// When something happens by itself.
    fn next(&mut self) -> Option<Instant> {
        let now = self.now;
        let sides = self.sides.iter_mut().filter_map(|side| {
            if side.end.state() == State::Closed {
                return None;
            }
            let arrives = side.link.next().filter(|at| *at > now);
            [arrives, side.end.poll_timeout()]
                .into_iter()
                .flatten()
                .min()
        });
        sides.min()
    }

    /// Both machines sleep, and wake up much later.
    fn jump(&mut self, duration: Duration) {
        self.disturbed = true;
        self.now = self.now.checked_add(duration).unwrap();
        self.settle();
    }

    // ---- The end ----------------------------------------------------------------------------------

    fn finish(&mut self) {
        for side in &mut self.sides {
            side.reads = true;
        }
        self.settle();
        self.sides[0].end.close(None);
        self.settle();
        // Without a deadline nobody gives up a peer that has vanished.
        if self.sides[0].link.is_black_hole {
            self.pass(Duration::from_secs(3600));
            for side in &mut self.sides {
                side.end.close(None);
            }
        }
        self.pass(Duration::from_secs(600));
        for side in &mut self.sides {
            // Nobody takes what waits, and without a deadline that is for ever.
            let gone = self.broken || self.disturbed;
            if side.end.state() != State::Closed && gone {
                side.lose(Lost::Failed);
            }
        }
        self.settle();
        for side in &mut self.sides {
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

    /// Both ends ended by a Close, and know of each other's.
    fn assert_clean(&mut self) {
        for (which, peer) in [(0, 1), (1, 0)] {
            let closed = self.sides[which].end.closed().unwrap();
            assert!(closed.clean, "{closed:?}");
            let body = self.sides[peer].end.outbox.close.as_deref().unwrap();
            let code = body
                .first_chunk()
                .map_or(1005, |code| u16::from_be_bytes(*code));
            assert_eq!(closed.code, code);
            assert_eq!(closed.cause, None);
        }
    }
}

impl Side {
    fn poll(&mut self) {
        loop {
            match self.end.poll(self.chunks) {
                Ok(Some(event)) => self.inbox.heard(event),
                Ok(None) => return self.end.take_back(),
                Err(_) => {}
            }
        }
    }

    fn lose(&mut self, lost: Lost) {
        if self.end.state() != State::Closed {
            self.end.lose(lost);
            self.told_eof = true;
            self.poll();
        }
    }

    fn assert_over(&mut self, broken: bool, disturbed: bool) {
        assert_eq!(self.end.state(), State::Closed);
        let closed = self.end.closed().unwrap();
        assert_eq!(Some(closed.initiator), self.end.initiator);
        match self.end.terminal {
            Some(Terminal::Close(_)) => self.inbox.assert_empty(),
            Some(Terminal::Error(RecvError::Lost(_))) => assert!(broken || disturbed),
            Some(Terminal::Error(RecvError::TimedOut(deadline))) => {
                assert!(broken || disturbed, "{deadline}");
                assert!(deadline != Deadline::Handshake);
            }
            Some(Terminal::Error(error)) => panic!("{error}"),
            None => assert!(broken, "an end without a reason"),
        }
    }
}
