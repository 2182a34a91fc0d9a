//! Reuse of the memory of large messages. This is a test process of its own, because some of that memory belongs to
//! the process.

use allocation_counter::measure;
use bowline_proto::{Message, Receiver, RecvBuf, Role};
use testing::{
    ends::{BOTH, LOAN, config, connection, other, read},
    frames::Frame,
};

const KIB: usize = 1 << 10;

struct Reader {
    rx: Receiver,
    loan: Option<Box<RecvBuf>>,
    role: Role,
}

impl Reader {
    fn new(role: Role) -> Self {
        let config = config(|config| config.max_message_size = usize::MAX);
        let (rx, _tx) = connection(role, &config).split();
        let loan = Some(RecvBuf::new(LOAN));
        Self { rx, loan, role }
    }

    fn frame(&self, len: usize) -> Vec<u8> {
        Frame::binary(vec![1; len]).from(other(self.role))
    }

    fn read(&mut self, bytes: &[u8]) -> Message {
        read(&mut self.rx, &mut self.loan, bytes).expect("a message")
    }

    /// Returns how much is allocated for ten messages, one after the other, after a first one.
    fn allocates(&mut self, len: usize) -> u64 {
        let frame = self.frame(len);
        self.read(&frame);
        let info = measure(|| {
            for _ in 0..10 {
                self.read(&frame);
            }
        });
        info.bytes_total
    }

    /// Receives `count` messages of `len` bytes that exist at once, and then drops them.
    fn flood(&mut self, len: usize, count: usize) {
        let frame = self.frame(len);
        let messages: Vec<Message> = (0..count).map(|_| self.read(&frame)).collect();
        drop(messages);
    }
}

#[test]
fn messages_one_after_the_other_are_in_the_same_memory() {
    // Up to 256 KiB, the memory is kept by the thread.
    for role in BOTH {
        for len in [8 * KIB, 20_000, 100_000, 200_000] {
            // The memory that a message shares, and the memory that gathers it.
            let total = Reader::new(role).allocates(len);
            assert!(total < 4000, "{total} for {len}");
        }
    }
}

#[test]
fn a_message_is_not_in_memory_that_is_more_than_twice_too_large() {
    let mut reader = Reader::new(Role::Client);
    reader.flood(100_000, 1);
    let frame = reader.frame(40_000);
    let mut kept = None;
    let bytes = measure(|| kept = Some(reader.read(&frame))).bytes_current;
    assert!(bytes >= 40_000, "{bytes}");
    let frame = reader.frame(60_000);
    let bytes = measure(|| drop(kept.replace(reader.read(&frame)))).bytes_current;
    assert!(bytes < 4000, "{bytes}");
}

#[test]
fn a_thread_keeps_some_of_it_and_no_more() {
    for (len, count, least, most) in [
        (8000, 10, 0, 0),
        // 32 pieces,
        (9000, 100, 31 * 9000, 32 * 9400),
        // or half a mebibyte.
        (50_000, 40, 450_000, 512 * KIB),
        (200_000, 10, 400_000, 512 * KIB),
    ] {
        let kept = std::thread::spawn(move || {
            let mut reader = Reader::new(Role::Client);
            // The memory that gathers a message comes and goes.
            reader.flood(1000, 2);
            measure(|| reader.flood(len, count)).bytes_current
        });
        let kept = kept.join().unwrap();
        // The list of pieces is small.
        let range = least as i64..=most as i64 + 1500;
        assert!(range.contains(&kept), "{kept} of {count} x {len}");
    }
}

#[test]
fn the_process_keeps_four_mebibytes_of_the_larger() {
    let mib = KIB * KIB;
    let mut reader = Reader::new(Role::Client);
    let total = reader.allocates(mib);
    assert!(total < 4000, "{total}");
    // A piece larger than half of it is not kept,
    let kept = measure(|| reader.flood(3 * mib, 2)).bytes_current;
    assert!(kept < 4000, "{kept}");
    // and not more.
    let kept = measure(|| reader.flood(mib, 10)).bytes_current + mib as i64;
    let range = 3 * mib as i64..=4 * mib as i64 + 4000;
    assert!(range.contains(&kept), "{kept}");
    // Another thread uses it now.
    let frame = reader.frame(mib);
    let info = std::thread::spawn(move || {
        let mut reader = Reader::new(Role::Client);
        measure(|| drop(reader.read(&frame)))
    });
    let total = info.join().unwrap().bytes_total;
    assert!(total < 4000, "{total}");
}
