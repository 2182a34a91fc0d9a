//! Two ends, a link each way, and a manual clock. This module moves the octets, in a defined order. The test that
//! makes a pair decides what the ends are and do.

use std::time::Duration;

use proto::{Instant, Role, State};

use super::{BOTH, link::Link};

/// A client and a server that are linked.
pub struct Pair<S> {
    pub client: S,
    pub server: S,
    pub now: Instant,
}

/// One end of a pair.
pub trait Side {
    fn port(&mut self) -> &mut Port;

    fn state(&self) -> State;

    fn wants_shutdown(&self) -> bool;

    /// Returns how many octets it writes or reads at a time. The round counts from 0 while a pair settles.
    fn segment(&self, round: u32) -> usize;

    /// Writes at most `most` octets, which are then on their way to `peer`.
    fn write_to(&mut self, peer: &mut Self, most: usize) -> Vec<u8>;

    /// Reads from the front of `bytes`, and returns how many octets it read, or `None` if it reads no more.
    fn read_from(&mut self, bytes: &[u8]) -> Option<usize>;

    /// Handles that nothing more comes from the peer.
    fn eof(&mut self);

    /// Polls all events.
    fn poll(&mut self);

    /// Called when everything on its way to this end was read and polled.
    fn has_heard_all(&mut self) {}

    /// Does what an application does unprompted. Returns whether it did something.
    fn act(&mut self) -> bool {
        false
    }

    fn poll_timeout(&self) -> Option<Instant>;

    /// Passes the time until it is not asked for any more. Returns whether it was asked for.
    fn tick(&mut self, now: Instant) -> bool;

    /// Makes one read of at most `most` octets, or of the end, and polls all resulting events. Returns whether
    /// there was anything to read.
    fn read(&mut self, most: usize, now: Instant) -> bool {
        let port = self.port();
        if !port.reads || port.told_eof || self.state() == State::Closed {
            return false;
        }
        self.poll();
        let link = &mut self.port().link;
        let arrived = link.arrived(now);
        let bytes = arrived[..arrived.len().min(most)].to_vec();
        if bytes.is_empty() {
            if self.port().link.has_ended(now) {
                self.port().told_eof = true;
                self.eof();
                self.poll();
            }
            return self.port().told_eof;
        }
        let Some(taken) = self.read_from(&bytes) else {
            return false;
        };
        self.port().link.took(taken);
        self.poll();
        if self.port().link.is_empty() && !self.port().told_eof {
            self.has_heard_all();
        }
        true
    }
}

/// The point where an end meets the links.
pub struct Port {
    /// The link to this end.
    pub link: Link,
    /// Whether the end reads and polls.
    pub reads: bool,
    /// Whether the end knows that nothing more comes.
    pub told_eof: bool,
    /// Whether it ended its own direction.
    shut: bool,
}

impl Port {
    pub fn new(link: Link) -> Self {
        Self {
            link,
            reads: true,
            told_eof: false,
            shut: false,
        }
    }
}

impl<S: Side> Pair<S> {
    pub fn side(&mut self, role: Role) -> &mut S {
        match role {
            Role::Client => &mut self.client,
            Role::Server => &mut self.server,
        }
    }

    pub fn sides(&mut self) -> [&mut S; 2] {
        [&mut self.client, &mut self.server]
    }

    /// Makes one write, or ends a direction. Returns whether anything moved.
    pub fn write(&mut self, role: Role) -> bool {
        self.write_in(0, role)
    }

    fn write_in(&mut self, round: u32, role: Role) -> bool {
        let now = self.now;
        let (side, peer) = match role {
            Role::Client => (&mut self.client, &mut self.server),
            Role::Server => (&mut self.server, &mut self.client),
        };
        let mut moved = false;
        if side.state() != State::Closed {
            let most = side.segment(round).min(peer.port().link.room());
            let part = side.write_to(peer, most);
            peer.port().link.put(&part, now);
            moved = !part.is_empty();
        }
        if !moved && !side.port().shut && side.wants_shutdown() {
            side.port().shut = true;
            peer.port().link.end(now);
            return true;
        }
        moved
    }

    /// Makes one read, and polls all resulting events. Returns whether there was anything to read.
    pub fn read(&mut self, role: Role) -> bool {
        self.read_in(0, role)
    }

    fn read_in(&mut self, round: u32, role: Role) -> bool {
        let now = self.now;
        let side = self.side(role);
        let most = side.segment(round);
        side.read(most, now)
    }

    /// Passes the time until the end does not ask for it. Returns whether it asked.
    pub fn tick(&mut self, role: Role) -> bool {
        let now = self.now;
        let side = self.side(role);
        let asked = side.tick(now);
        if asked && side.port().reads {
            side.poll();
        }
        asked
    }

    /// Moves octets and passes the time until nothing moves and no end asks for it.
    pub fn settle(&mut self) {
        for round in 0..1_000_000 {
            let mut moved = false;
            for role in BOTH {
                moved |= self.write_in(round, role);
                moved |= self.read_in(round, role);
                moved |= self.tick(role);
                moved |= self.side(role).act();
            }
            if !moved {
                return;
            }
        }
        panic!("they never come to rest");
    }

    /// Lets time pass, and both ends keep up with it.
    pub fn pass(&mut self, duration: Duration) {
        let until = self.now.checked_add(duration).unwrap();
        self.settle();
        while let Some(at) = self.next().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.settle();
        }
        self.now = until;
        self.settle();
    }

    /// Returns when something happens without further input.
    fn next(&mut self) -> Option<Instant> {
        let now = self.now;
        let sides = self.sides().into_iter().filter_map(|side| {
            if side.state() == State::Closed {
                return None;
            }
            let arrives = side.port().link.next().filter(|at| *at > now);
            [arrives, side.poll_timeout()].into_iter().flatten().min()
        });
        sides.min()
    }
}
