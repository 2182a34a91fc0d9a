//! The descriptors and threads that a process holds.

use std::{fs, thread, time::Duration};

/// The number of descriptors and threads that this process holds.
#[derive(Debug)]
pub struct Held {
    descriptors: usize,
    threads: usize,
}

impl Held {
    /// Whether no more is held than before. A reactor may keep a few of the first connections for a while, so there may even be fewer later.
    pub const fn fits(&self, before: &Self) -> bool {
        self.descriptors <= before.descriptors && self.threads <= before.threads
    }

    pub fn now() -> Self {
        let count = |path: &str| fs::read_dir(path).unwrap().count();
        Self {
            descriptors: count("/proc/self/fd"),
            threads: count("/proc/self/task"),
        }
    }
}

/// Waits until no more is held than before.
pub fn settle(before: &Held, name: &str) {
    /// In milliseconds; long enough on any machine.
    const SETTLE: usize = 20_000;
    // Ended threads disappear from the list a moment later, as do descriptors that a reactor has just used.
    for _ in 0..SETTLE {
        if Held::now().fits(before) {
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
    panic!("{name}: {:?}, before {before:?}", Held::now());
}
