use std::collections::VecDeque;

use proto::{Chunk, Event};

use crate::bodies::{
    end::{End, Terminal},
    wire::Said,
};

/// The messages on their way to one end, in order, compared with what it received.
#[derive(Default)]
pub(crate) struct Inbox {
    said: VecDeque<Said>,
    /// The chunks of a message that has not ended.
    gathered: Vec<u8>,
}

impl Inbox {
    pub(crate) fn is_sent(&mut self, said: Vec<Said>) {
        self.said.extend(said);
    }

    pub(crate) fn heard(&mut self, event: Event<Chunk>) {
        let said = match event {
            Event::Data(Chunk { data, fin }) => {
                self.gathered.extend_from_slice(data.as_bytes());
                if !fin {
                    assert!(!data.is_empty(), "an empty chunk");
                    return;
                }
                let Some(Said::Message(message)) = self.said.pop_front() else {
                    panic!("a message that nobody sent");
                };
                assert_eq!(message.kind, data.kind());
                assert!(message.content == self.gathered, "a message as it was sent");
                return self.gathered.clear();
            }
            Event::Ping(payload) => Said::Ping(payload.to_vec()),
            Event::Pong(payload) => Said::Pong(payload.to_vec()),
            Event::Close(frame) => Said::Close(frame.map_or(Vec::new(), |frame| {
                let code = frame.code().get().to_be_bytes();
                [&code, &frame.reason().as_bytes()[..]].concat()
            })),
        };
        assert_eq!(self.said.pop_front(), Some(said));
    }

    /// Checks that nothing is on its way.
    pub(crate) fn assert_all_heard(&self, end: &End) {
        if !matches!(end.terminal, Some(Terminal::Error(_))) {
            self.assert_empty();
        }
    }

    pub(crate) fn assert_empty(&self) {
        assert!(
            self.said.is_empty(),
            "not delivered: {:?}",
            self.said.front()
        );
    }
}
