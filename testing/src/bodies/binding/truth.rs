//! The messages of one writer, and which of them were received.

use proto::Message;

/// The progress of a message, as its writer knows it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Sent {
    /// The call was dropped, or failed: it arrives whole or not at all.
    Perhaps,
    /// It arrives, unless the peer's Close or the end comes first; then no later message arrives either.
    Queued,
    /// The transport has it: it arrives if the bytes in the transport do.
    Flushed,
}

/// The messages of one writer, numbered.
#[derive(Debug, Default)]
pub(super) struct Truth {
    sent: Vec<(Message, Sent)>,
    next: u8,
    /// The number of messages that were received, or are known to be missing.
    heard: usize,
}

impl Truth {
    /// Returns a message that says who wrote it, and which one it is.
    pub(super) fn message(&mut self, writer: u8, text: bool, len: usize) -> Message {
        self.next = self.next.wrapping_add(1);
        let seed = usize::from(self.next) * 31 + usize::from(writer);
        let mut content = vec![b'0' + writer, b'0' + self.next % 64];
        if text {
            // Characters of one to four bytes.
            let mut text = String::from_utf8(content).expect("digits");
            (0..len).for_each(|i| text.push(['a', 'é', '€', '𝄞'][(seed + i * i) % 4]));
            return text.into();
        }
        content.extend((0..len).map(|i| (seed + i * i / 3) as u8));
        content.into()
    }

    pub(super) fn sent(&mut self, message: Message, sent: Sent) {
        self.sent.push((message, sent));
    }

    /// Notes that the last message is queued, and so is everything before it.
    pub(super) fn was_queued(&mut self) {
        if let Some((_, sent)) = self.sent.last_mut() {
            *sent = Sent::Queued;
        }
    }

    /// Notes that everything queued was sent.
    pub(super) fn was_flushed(&mut self) {
        for (_, sent) in &mut self.sent {
            if *sent == Sent::Queued {
                *sent = Sent::Flushed;
            }
        }
    }

    /// Checks that a message that has arrived is the next one, or follows only messages that need not arrive.
    pub(super) fn heard(&mut self, message: &Message) {
        loop {
            let next = self.sent.get(self.heard);
            let (expected, sent) = next.expect("nobody sent that");
            self.heard += 1;
            if expected == message {
                return;
            }
            assert_eq!(
                *sent,
                Sent::Perhaps,
                "a message is lost, torn or out of order"
            );
        }
    }

    /// Whether everything sent has arrived.
    pub(super) fn is_complete(&self) -> bool {
        let remainder = &self.sent[self.heard..];
        remainder.iter().all(|(_, sent)| *sent != Sent::Flushed)
    }
}
