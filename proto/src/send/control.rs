use alloc::boxed::Box;

use crate::{close::CloseFrame, message::ControlPayload};

/// The control frames that a [`Receiver`](crate::Receiver) owes the peer: at most one of keep-alive, one Pong that
/// answers, and one Close. The [`Sender`](crate::Sender) gets them in [`meet`](crate::Receiver::meet).
///
/// It takes memory only while something is owed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Control(Option<Box<Slots>>);

#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Slots {
    /// The payload of a Ping or of an unsolicited Pong, as [`Config::keep_alive_kind`](crate::Config) says.
    pub(crate) keep_alive: Option<ControlPayload>,
    /// The payload of the Pong that answers the latest Ping.
    pub(crate) pong: Option<ControlPayload>,
    pub(crate) close: Option<Option<CloseFrame>>,
}

impl Control {
    /// Whether nothing is owed.
    #[inline]
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Returns the slots, which are allocated on first use.
    pub(crate) fn slots(&mut self) -> &mut Slots {
        self.0.get_or_insert_default()
    }

    pub(crate) fn closes(&self) -> bool {
        self.0.as_ref().is_some_and(|slots| slots.close.is_some())
    }

    /// Returns what `slot` takes out of the slots, if anything is owed.
    pub(crate) fn take<U>(&mut self, slot: impl FnOnce(&mut Slots) -> Option<U>) -> Option<U> {
        let slots = self.0.as_mut()?;
        let taken = slot(slots);
        if **slots == Slots::default() {
            self.0 = None;
        }
        taken
    }

    /// Adds what became owed later. The latest Pong wins: RFC 6455 §5.5.3, "MAY elect to send a Pong frame for only
    /// the most recently processed Ping frame". The first Close wins, and a connection that closes is not kept alive.
    pub(crate) fn merge(&mut self, newer: Self) {
        let Some(newer) = newer.0 else { return };
        let slots = self.slots();
        slots.pong = newer.pong.or_else(|| slots.pong.take());
        slots.close = slots.close.take().or(newer.close);
        slots.keep_alive = match slots.close {
            Some(_) => None,
            None => newer.keep_alive.or_else(|| slots.keep_alive.take()),
        };
    }
}
