use std::{
    sync::{Arc, PoisonError},
    task::{Wake, Waker},
};

use crate::sync::{Mutex, MutexGuard};

/// The wakers of all tasks that wait on one socket. A transport remembers one waker for each direction, and a clock
/// remembers one. If each task registered its own there, the last would replace the others. Therefore the transport
/// and the clock get this waker, which wakes all tasks.
#[derive(Debug)]
pub(crate) struct Wakers(Mutex<Vec<Slot>>);

#[derive(Debug, Default)]
struct Slot {
    taken: bool,
    waker: Option<Waker>,
}

/// A place in [`Wakers`], one for each future that waits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Key(usize);

impl Key {
    /// The place of the read half.
    pub(crate) const READER: Self = Self(0);
    /// The places of an unsplit socket: one for each direction that is used as a trait, and one for the methods.
    pub(crate) const STREAM: Self = Self(0);
    pub(crate) const SINK: Self = Self(1);
    pub(crate) const METHOD: Self = Self(2);
}

impl Wakers {
    /// Creates wakers whose first `count` places are always taken.
    pub(crate) fn with_places(count: usize) -> Self {
        let place = || Slot {
            taken: true,
            waker: None,
        };
        Self(Mutex::new(
            std::iter::repeat_with(place).take(count).collect(),
        ))
    }

    /// Takes a place, which keeps its waker until [`leave`](Self::leave).
    pub(crate) fn enter(&self) -> Key {
        let mut slots = self.slots();
        let free = slots.iter().position(|slot| !slot.taken);
        let key = free.unwrap_or(slots.len());
        if free.is_none() {
            slots.push(Slot::default());
        }
        slots[key].taken = true;
        Key(key)
    }

    pub(crate) fn leave(&self, Key(key): Key) {
        let mut slots = self.slots();
        slots[key] = Slot::default();
        while slots.last().is_some_and(|slot| !slot.taken) {
            slots.pop();
        }
    }

    /// Puts `waker` into a place, to be woken the next time.
    pub(crate) fn register(&self, Key(key): Key, waker: &Waker) {
        remember(&mut self.slots()[key].waker, waker);
    }

    /// Removes the waker from a place.
    pub(crate) fn clear(&self, Key(key): Key) {
        self.slots()[key].waker = None;
    }

    /// Whether a task at this place waits, and has not been woken since it was polled.
    pub(crate) fn is_waiting(&self, Key(key): Key) -> bool {
        self.slots()[key].waker.is_some()
    }

    /// Wakes all tasks except the one at `me`.
    pub(crate) fn wake_others(&self, me: Option<Key>) {
        let woken: Vec<Waker> = {
            let mut slots = self.slots();
            let others = slots
                .iter_mut()
                .enumerate()
                .filter(|(key, _)| Some(Key(*key)) != me);
            others.filter_map(|(_, slot)| slot.waker.take()).collect()
        };
        woken.into_iter().for_each(Waker::wake);
    }

    fn slots(&self) -> MutexGuard<'_, Vec<Slot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Wakers {
    fn wake(self: Arc<Self>) {
        self.wake_others(None);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wake_others(None);
    }
}

/// Puts `waker` into `place`, without a clone if it wakes the same task as the one that is there.
pub(crate) fn remember(place: &mut Option<Waker>, waker: &Waker) {
    match place {
        Some(known) => known.clone_from(waker),
        None => *place = Some(waker.clone()),
    }
}
