//! The descriptors, threads and memory that the process of a server holds.

use std::{
    alloc::System,
    fs,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use bind::Tracker;
use cap::Cap;
use testing::held::Held;

use crate::bindings::Binding;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// The descriptors, threads and memory that the process of a server holds.
#[derive(Debug)]
pub(crate) struct Footprint {
    held: Held,
    tasks: usize,
    /// The open sockets, as the server counts them.
    open: usize,
    /// In bytes.
    pub(crate) heap: usize,
}

impl Footprint {
    pub(crate) fn now<B: Binding>(tracker: &Tracker<B::Host>) -> Self {
        Self {
            held: Held::now(),
            tasks: B::tasks(),
            open: tracker.count(),
            heap: ALLOCATOR.allocated(),
        }
    }

    /// Whether no more is held than before. The heap may have grown by this many bytes.
    fn fits(&self, before: &Self, heap: usize) -> bool {
        self.held.fits(&before.held)
            && self.tasks <= before.tasks
            && self.open <= before.open
            && self.heap <= before.heap.saturating_add(heap)
    }

    /// Waits until no more is held than before, and returns what is held then.
    pub(crate) fn settle<B: Binding>(
        before: &Self,
        heap: usize,
        tracker: &Tracker<B::Host>,
    ) -> Self {
        /// In steps of 10 ms; long enough on any machine.
        const SETTLE: usize = 3000;
        for _ in 0..SETTLE {
            let now = Self::now::<B>(tracker);
            if now.fits(before, heap) {
                return now;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("{:?}, before {before:?}", Self::now::<B>(tracker));
    }
}

/// Returns the number of descriptors of this process, among them one for counting.
pub(crate) fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Returns what `f` returns, and how many more descriptors there were meanwhile than before, at most.
pub(crate) fn most_descriptors<T>(f: impl FnOnce() -> T) -> (T, usize) {
    let before = descriptors();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let counting = scope.spawn(|| {
            let mut most = before;
            while !done.load(Ordering::Relaxed) {
                most = most.max(descriptors());
                thread::sleep(Duration::from_millis(2));
            }
            most - before
        });
        let value = f();
        done.store(true, Ordering::Relaxed);
        (value, counting.join().unwrap())
    })
}
