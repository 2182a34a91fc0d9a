//! The rules that must hold whatever goes wrong.

use std::time::Duration;

use bind::proto::{Initiator, Message};

use crate::{games::Game, play::Seen};

/// The differences that are allowed from a game in which nothing went wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Tolerance {
    None,
    /// One message may be missing.
    OneMessage,
    /// One message may lack a piece, and the connection may have failed because of it.
    OnePiece,
    /// The connection may have ended at any time.
    Any,
}

impl Game {
    pub(crate) fn check(&self, untouched: Option<&Self>, tolerance: Tolerance) {
        let [client, server] = &self.seen;
        let scripts = [self.scenario.client, self.scenario.server];
        let ends = [
            (client, server, scripts[1].messages()),
            (server, client, scripts[0].messages()),
        ];
        let may_miss = usize::from(tolerance == Tolerance::OneMessage);
        let mut missed = 0;
        for (seen, peer, truth) in &ends {
            let counts = prefix(seen, truth, may_miss, tolerance == Tolerance::OnePiece);
            let came: usize = counts.iter().sum();
            missed += truth.iter().map(Vec::len).sum::<usize>() - came;
            end_is_one(seen);
            // An end that knows of the peer's clean Close has received everything that the peer's calls
            // reported as sent.
            if let Some(closed) = &seen.closed
                && closed.clean
                && closed.initiator == Initiator::Peer
                && !seen.ended
                && !self.scenario.lossy
                && tolerance != Tolerance::OnePiece
            {
                let sent: usize = peer.sent.iter().sum();
                assert!(
                    came + may_miss >= sent,
                    "{came} of {sent} came, and the end is clean"
                );
            }
        }
        if let Some(took) = self.took {
            assert!(took <= Duration::from_secs(120), "it took {took:?}");
        }
        if matches!(tolerance, Tolerance::OnePiece | Tolerance::Any) {
            return;
        }
        if !self.scenario.lossy && client.opened {
            assert!(missed <= may_miss, "{missed} messages did not come");
        }
        if let Some(untouched) = untouched {
            self.is_like(untouched);
        }
    }

    /// Checks that the fault had no effect.
    fn is_like(&self, untouched: &Self) {
        for (seen, before) in self.seen.iter().zip(&untouched.seen) {
            assert_eq!(seen.opened, before.opened);
            if !self.scenario.lossy {
                assert_eq!(failure(seen), failure(before));
                let clean = |seen: &Seen| seen.closed.as_ref().map(|closed| closed.clean);
                assert_eq!(clean(seen), clean(before));
            }
        }
        if let (Some(took), Some(before)) = (self.took, untouched.took) {
            let most = before + Duration::from_secs(1);
            assert!(took <= most, "{took:?}, not {before:?}");
        }
    }
}

/// Returns how a connection failed. An end that aborts says so by TLS only if its transport takes that at once, so a
/// transport that does not makes no difference.
fn failure(seen: &Seen) -> Option<&str> {
    let failed = seen.failed.as_deref()?;
    if failed.contains("without sending TLS close_notify") {
        return Some("connection lost: the transport ended without a closing handshake");
    }
    Some(failed)
}

/// Returns how many messages of each writer arrived. They must be the first ones, unchanged and in
/// order, except that `may_miss` of them may be missing, and that one may lack a piece if `may_lack` is
/// set.
fn prefix(seen: &Seen, truth: &[Vec<Message>], may_miss: usize, mut may_lack: bool) -> Vec<usize> {
    let mut next = vec![0; truth.len()];
    let mut missed = vec![0; truth.len()];
    for message in &seen.received {
        let found = (0..=may_miss).find_map(|skip| {
            let is_it = |writer: &usize| truth[*writer].get(next[*writer] + skip) == Some(message);
            (0..truth.len()).find(is_it).map(|writer| (writer, skip))
        });
        let found = found.or_else(|| {
            let mut writers = 0..truth.len();
            let lacks = std::mem::take(&mut may_lack);
            let is_it = |writer: &usize| {
                let whole = truth[*writer].get(next[*writer]);
                lacks && whole.is_some_and(|whole| lacks_a_piece(message, whole))
            };
            writers.find(is_it).map(|writer| (writer, 0))
        });
        let Some((writer, skip)) = found else {
            panic!("{message:?} is not the next message, after {next:?}");
        };
        next[writer] += skip + 1;
        missed[writer] += skip;
    }
    assert!(missed.iter().sum::<usize>() <= may_miss, "{missed:?} lost");
    let begun = truth.iter().zip(&next).any(|(all, next)| {
        let next = all.get(*next).map_or(&[][..], |message| message.as_bytes());
        next.starts_with(&seen.part)
    });
    let abandoned = seen.part.iter().all(|byte| *byte == b'?');
    assert!(begun || abandoned, "the partial message is not part of one");
    next.iter()
        .zip(&missed)
        .map(|(next, missed)| next - missed)
        .collect()
}

/// Whether `part` is `whole` without one contiguous piece.
fn lacks_a_piece(part: &Message, whole: &Message) -> bool {
    let (part, whole) = (part.as_bytes(), whole.as_bytes());
    let differ = |(a, b): (&u8, &u8)| a != b;
    let front = part.iter().zip(whole.iter()).position(differ);
    let front = front.unwrap_or(part.len());
    let back = part.iter().rev().zip(whole.iter().rev());
    let back = back.take_while(|pair| !differ(*pair)).count();
    part.len() < whole.len() && front + back >= part.len()
}

/// Checks that the end is reported only once.
fn end_is_one(seen: &Seen) {
    assert!(seen.errors <= 1, "{} errors", seen.errors);
    let Some(closed) = &seen.closed else {
        return;
    };
    if closed.cause.is_none() || closed.clean {
        assert_eq!(seen.errors, 0, "{:?} and {closed}", seen.failed);
    } else if !seen.ended {
        assert_eq!(seen.errors, 1, "{:?} and {closed}", seen.failed);
    }
}
