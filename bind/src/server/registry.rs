//! The connections of a server: how many there may be, which are open, and how they are told to end.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, OnceLock, PoisonError, Weak},
    task::{Context, Poll, ready},
    time::Duration,
};

use proto::{CloseCode, CloseFrame, Instant};

use super::{
    drain::{Drain, Step, Stop},
    permit::{Kill, Permit},
    subnet::Subnet,
};
use crate::{
    sync::{Mutex, MutexGuard},
    transport::Timer,
    wakers::{Key, Wakers},
};

/// The connections of a server, of which some are in their handshake and the others are open.
#[derive(Debug)]
pub(super) struct Registry {
    /// Absent until the server is served.
    limits: OnceLock<Limits>,
    state: Mutex<State>,
    /// The tasks that wait for the server to stop, or for its last connection to end.
    pub(super) wakers: Wakers,
}

/// The most connections that there may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) connections: usize,
    /// For each address, if it is limited.
    pub(super) per_address: Option<usize>,
    /// In their handshake.
    pub(super) handshakes: usize,
    /// How long a handler may run, and how long it then has to close its socket.
    pub(super) handler: Option<(Duration, Duration)>,
}

impl Limits {
    const NONE: Self = Self {
        connections: usize::MAX,
        per_address: None,
        handshakes: usize::MAX,
        handler: None,
    };
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// The number of the next connection.
    next: u64,
    /// All connections.
    pub(super) members: BTreeMap<u64, Weak<Permit>>,
    /// Those whose request has not come yet.
    pub(super) handshakes: BTreeSet<u64>,
    /// Those that were ended to make room for newer handshakes, and are not gone yet.
    pub(super) leaving: BTreeSet<u64>,
    /// How many are open.
    pub(super) open: usize,
    addresses: BTreeMap<Subnet, usize>,
    /// When each open socket has to close, if handlers have a deadline, and then when it is ended.
    pub(super) deadlines: BTreeSet<(Instant, u64)>,
    /// Present once the server stops.
    pub(super) drain: Option<Drain>,
}

/// An open socket of a server.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SocketInfo {
    /// The number of the socket, which no other socket of this server has.
    pub id: u64,
    /// The address of the client, as far as it is known. Its port is 0 if a proxy has told only the address.
    pub client_addr: Option<SocketAddr>,
    /// The path of the request.
    pub path: String,
}

/// The reason why a connection is not admitted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Refused {
    /// There are as many connections as there may be, in all or for the address.
    Full,
    Stopping,
}

impl Default for Registry {
    fn default() -> Self {
        Self {
            limits: OnceLock::new(),
            state: Mutex::default(),
            wakers: Wakers::with_places(0),
        }
    }
}

impl Registry {
    /// The most connections that were ended to make room and are not gone yet. Without this, connections that come faster
    /// than others can end would exceed the limit of handshakes.
    pub(super) const MAX_LEAVING: usize = 64;

    /// Sets the limits, which cannot be changed later.
    pub(super) fn limit(&self, limits: Limits) {
        let _ = self.limits.set(limits);
    }

    pub(super) fn limits(&self) -> Limits {
        self.limits.get().copied().unwrap_or(Limits::NONE)
    }

    /// Admits a connection, whose handshake begins. If too many are in their handshake, the oldest of them is ended.
    pub(super) fn admit(
        self: &Arc<Self>,
        address: Option<Subnet>,
        kill: Option<Kill>,
    ) -> Result<Arc<Permit>, Refused> {
        let limits = self.limits();
        let mut state = self.lock();
        if state.drain.is_some() {
            return Err(Refused::Stopping);
        }
        if state.members.len() >= limits.connections || !state.count(address, limits.per_address) {
            return Err(Refused::Full);
        }
        let crowded = state.handshakes.len() >= limits.handshakes;
        let oldest = crowded.then(|| state.handshakes.pop_first()).flatten();
        let oldest = oldest.and_then(|id| state.members.get(&id)?.upgrade());
        let id = state.next;
        let permit = Arc::new(Permit::new(self.clone(), id, address, kill));
        state.next += 1;
        state.handshakes.insert(id);
        state.members.insert(id, Arc::downgrade(&permit));
        state.leaving.extend(oldest.as_ref().map(|it| it.id()));
        drop(state);
        if let Some(oldest) = oldest {
            oldest.abort();
        }
        Ok(permit)
    }

    /// Whether so many connections that were ended are not gone yet that no more should be accepted. Their last permit wakes
    /// the tasks that wait.
    pub(super) fn is_crowded(&self) -> bool {
        self.lock().leaving.len() >= Self::MAX_LEAVING
    }

    /// Returns how many sockets are open.
    pub(super) fn count(&self) -> usize {
        self.lock().open
    }

    pub(super) fn list(&self) -> Vec<SocketInfo> {
        let info = |permit: Arc<Permit>| {
            permit.is_open().then(|| {
                let (client_addr, path) = permit.client();
                SocketInfo {
                    id: permit.id(),
                    client_addr,
                    path,
                }
            })
        };
        self.permits().into_iter().filter_map(info).collect()
    }

    /// Returns the permit of an open connection.
    pub(super) fn permit(&self, id: u64) -> Option<Arc<Permit>> {
        let permit = self.lock().members.get(&id)?.upgrade();
        permit.filter(|it| it.is_open())
    }

    /// Returns the permits of all connections. They may not be dropped under the lock, which they take.
    fn permits(&self) -> Vec<Arc<Permit>> {
        let state = self.lock();
        state.members.values().filter_map(Weak::upgrade).collect()
    }

    /// Returns the Close of a server that stops.
    pub(super) fn farewell(&self) -> Option<CloseFrame> {
        let state = self.lock();
        state.drain.as_ref().and_then(Drain::frame)
    }

    /// Begins to stop, unless it has begun already.
    pub(super) fn stop(&self, stop: Stop) {
        let mut state = self.lock();
        if state.drain.is_some() {
            return;
        }
        // No further connection opens from now on.
        state.drain = Some(Drain::new(stop));
        let handshakes = std::mem::take(&mut state.handshakes);
        drop(state);
        let permits = self.permits();
        let open = permits.iter().filter(|it| it.is_open());
        let open = open.map(Arc::downgrade).collect();
        if let Some(drain) = &mut self.lock().drain {
            drain.tell(open);
        }
        // A client that has not sent its request yet would only be refused.
        let waiting = permits.iter().filter(|it| handshakes.contains(&it.id()));
        waiting.for_each(|it| it.abort());
        self.wakers.wake_others(None);
    }

    /// Waits until the server is stopping.
    pub(super) fn poll_stopping(&self, key: Key, cx: &Context<'_>) -> Poll<()> {
        self.wakers.register(key, cx.waker());
        if self.lock().drain.is_some() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// Tells the sockets to close, one after the other, and waits until all connections have ended. Returns how many did
    /// not end in time. Several tasks may wait, and each of them does the work that is due.
    pub(super) fn poll_stopped(
        &self,
        key: Key,
        clock: &mut impl Timer,
        cx: &mut Context<'_>,
    ) -> Poll<usize> {
        self.wakers.register(key, cx.waker());
        loop {
            let mut state = self.lock();
            let State { drain, members, .. } = &mut *state;
            let Some(drain) = drain else {
                return Poll::Pending;
            };
            let step = drain.step(clock.now(), members.len());
            drop(state);
            match step {
                Step::Close(permit, frame) => {
                    if let Some(permit) = permit.upgrade() {
                        permit.close(frame);
                    }
                }
                Step::Abort => self.permits().iter().for_each(|it| it.abort()),
                Step::Wait(until) => ready!(clock.poll_until(cx, until)),
                Step::WaitForEnds => return Poll::Pending,
                Step::Done { aborted } => return Poll::Ready(aborted),
            }
        }
    }

    /// Closes the sockets whose handlers have run for too long, and later ends them. Never ready. The task is woken for a
    /// deadline that comes before the others only if it also waits in [`poll_stopping`](Self::poll_stopping).
    pub(super) fn poll_deadlines(&self, clock: &mut impl Timer, cx: &mut Context<'_>) -> Poll<()> {
        let Some((_, grace)) = self.limits().handler else {
            return Poll::Pending;
        };
        loop {
            let now = clock.now();
            let mut state = self.lock();
            let Some(&(deadline, id)) = state.deadlines.first() else {
                return Poll::Pending;
            };
            if deadline > now {
                drop(state);
                ready!(clock.poll_until(cx, deadline));
                continue;
            }
            state.deadlines.pop_first();
            let Some(permit) = state.members.get(&id).and_then(Weak::upgrade) else {
                continue;
            };
            let closes = permit.deadline() == Some(deadline);
            if closes && let Some(last) = deadline.checked_add(grace) {
                state.deadlines.insert((last, id));
            }
            drop(state);
            if closes {
                permit.close((
                    CloseCode::GOING_AWAY,
                    "the time for this connection is over",
                ));
            } else {
                permit.abort();
            }
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Counts a connection for its address, unless that would be more than `most`.
    pub(super) fn count(&mut self, address: Option<Subnet>, most: Option<usize>) -> bool {
        let (Some(address), Some(most)) = (address, most) else {
            return true;
        };
        let count = self.addresses.entry(address).or_default();
        let fits = *count < most;
        *count += usize::from(fits);
        if *count == 0 {
            self.addresses.remove(&address);
        }
        fits
    }

    pub(super) fn uncount(&mut self, address: Subnet) {
        if let Some(count) = self.addresses.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.addresses.remove(&address);
            }
        }
    }
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use std::hash::{BuildHasher, Hasher, RandomState};

    use super::*;
    use crate::output::Place;

    /// A clock that the test moves.
    #[derive(Clone)]
    struct Now(Arc<Mutex<Duration>>);

    impl Timer for Now {
        fn now(&self) -> Instant {
            Instant::from_epoch(*self.0.lock().unwrap())
        }

        fn poll_until(&mut self, _: &mut Context<'_>, deadline: Instant) -> Poll<()> {
            if deadline <= self.now() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        }
    }

    fn noop() -> Context<'static> {
        Context::from_waker(std::task::Waker::noop())
    }

    fn aborted(permit: &Permit) -> bool {
        permit.orders().poll_abort(&noop())
    }

    /// Random connections come, go on and leave. Whatever they do, the limits hold, the oldest handshake makes room, and
    /// nothing is left at the end.
    #[test]
    fn the_counts_are_those_of_a_simple_model() {
        let seed = RandomState::new().build_hasher().finish();
        println!("seed {seed}");
        let mut state = seed | 1;
        let mut random = |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state >> 33).unwrap() % below
        };
        for _ in 0..200 {
            let limits = Limits {
                connections: 1 + random(20),
                per_address: (random(2) == 0).then(|| 1 + random(4)),
                handshakes: 1 + random(6),
                handler: (random(2) == 0)
                    .then_some((Duration::from_secs(9), Duration::from_secs(1))),
            };
            let registry = Arc::new(Registry::default());
            registry.limit(limits);
            let address = |number: usize| format!("192.0.2.{number}").parse().unwrap();
            // The permit, its address, and whether it is in its handshake and not aborted.
            let mut model: Vec<(Arc<Permit>, usize, bool)> = Vec::new();
            for _ in 0..200 {
                match random(4) {
                    0 | 1 => {
                        let from = random(5);
                        let same = model.iter().filter(|it| it.1 == from).count();
                        let fits = model.len() < limits.connections
                            && limits.per_address.is_none_or(|most| same < most);
                        let admitted = registry.admit(Some(address(from)), None);
                        assert_eq!(admitted.is_ok(), fits);
                        if let Ok(permit) = admitted {
                            if model.iter().filter(|it| it.2).count() == limits.handshakes {
                                let oldest = model.iter_mut().find(|it| it.2).unwrap();
                                assert!(aborted(&oldest.0));
                                oldest.2 = false;
                            }
                            model.push((permit, from, true));
                        }
                    }
                    2 if !model.is_empty() => {
                        let chosen = random(model.len());
                        let (permit, _, waits) = &mut model[chosen];
                        if *waits {
                            permit.heard();
                            *waits = false;
                            assert!(permit.open(Instant::from_epoch(Duration::ZERO), None, "/"));
                        }
                    }
                    3 if !model.is_empty() => drop(model.swap_remove(random(model.len()))),
                    _ => {}
                }
                // The model has to stay in the order in which the connections came.
                model.sort_by_key(|it| it.0.id());
                let open = model.iter().filter(|it| it.0.is_open()).count();
                assert_eq!((registry.count(), registry.list().len()), (open, open));
                for (permit, _, waits) in &model {
                    assert!(!(*waits && aborted(permit)));
                }
            }
            drop(model);
            let state = registry.lock();
            assert!(state.members.is_empty() && state.handshakes.is_empty());
            assert!(state.addresses.is_empty() && state.deadlines.is_empty());
            assert_eq!((state.open, state.leaving.len()), (0, 0));
        }
    }

    #[test]
    fn nobody_is_accepted_while_too_many_that_were_ended_are_here() {
        let registry = Arc::new(Registry::default());
        registry.limit(Limits {
            handshakes: 1,
            ..Limits::NONE
        });
        let admit = || registry.admit(None, None).unwrap();
        let mut permits: Vec<_> = (0..64).map(|_| admit()).collect();
        assert!(!registry.is_crowded());
        permits.push(admit());
        assert!(registry.is_crowded());
        drop(permits.pop());
        assert!(registry.is_crowded(), "that one was not ended");
        drop(permits.pop());
        assert!(!registry.is_crowded());
    }

    #[test]
    fn a_server_that_stops_lets_nobody_in_and_ends_handshakes() {
        let registry = Arc::new(Registry::default());
        let (waits, heard) = (
            registry.admit(None, None).unwrap(),
            registry.admit(None, None).unwrap(),
        );
        heard.heard();
        registry.stop(Duration::from_secs(5).into());
        assert!(aborted(&waits) && !aborted(&heard));
        let now = Instant::from_epoch(Duration::ZERO);
        assert!(!heard.open(now, None, "/"));
        assert_eq!(registry.admit(None, None).unwrap_err(), Refused::Stopping);
        let key = registry.wakers.enter();
        let mut clock = Now(Arc::new(Mutex::new(Duration::ZERO)));
        assert!(
            registry
                .poll_stopped(key, &mut clock, &mut noop())
                .is_pending()
        );
        drop((waits, heard));
        assert_eq!(
            registry.poll_stopped(key, &mut clock, &mut noop()),
            Poll::Ready(0)
        );
    }

    #[test]
    fn a_handler_is_closed_at_its_deadline_and_ended_later() {
        let registry = Arc::new(Registry::default());
        let second = Duration::from_secs(1);
        registry.limit(Limits {
            handler: Some((10 * second, 2 * second)),
            ..Limits::NONE
        });
        let time = Arc::new(Mutex::new(Duration::ZERO));
        let mut clock = Now(time.clone());
        let open = |now: Duration| {
            let permit = registry.admit(None, None).unwrap();
            let now = Instant::from_epoch(now);
            assert!(permit.open(now, None, "/"));
            permit
        };
        let (first, left, second_one) = (open(Duration::ZERO), open(second), open(11 * second));
        drop(left);
        for (now, ended) in [(9, false), (11, false), (13, true), (20, true)] {
            *time.lock().unwrap() = now * second;
            assert!(
                registry
                    .poll_deadlines(&mut clock, &mut noop())
                    .is_pending()
            );
            assert_eq!(aborted(&first), ended, "{now}");
            assert!(!aborted(&second_one));
        }
    }
}
