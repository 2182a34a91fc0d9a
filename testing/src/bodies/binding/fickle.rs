//! An unpredictable transport: it accepts and returns a few bytes, and returns `Pending` at random.

use std::{
    io::{self, IoSlice},
    task::{Context, Poll},
};

use bowline_bind::Transport;

use crate::world::{Clock, End};

/// The results of the next calls, in order; after the last one, everything succeeds.
pub(super) struct Fickle {
    end: End,
    script: std::vec::IntoIter<u8>,
}

/// The result of one call.
enum Mood {
    Good,
    /// It returns `Pending`, and asks to be called again at once.
    Later,
    /// It moves at most this many bytes.
    Short(usize),
}

impl Fickle {
    pub(super) fn new(end: End, script: Vec<u8>) -> Self {
        Self {
            end,
            script: script.into_iter(),
        }
    }

    fn mood(&mut self, cx: &Context<'_>) -> Mood {
        match self.script.next() {
            None => Mood::Good,
            Some(byte) => match byte % 4 {
                0 => {
                    cx.waker().wake_by_ref();
                    Mood::Later
                }
                1 => Mood::Good,
                _ => Mood::Short(1 + usize::from(byte >> 2)),
            },
        }
    }
}

impl Transport for Fickle {
    type Clock = Clock;

    fn clock(&self) -> Clock {
        self.end.clock()
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        match self.mood(cx) {
            Mood::Later => Poll::Pending,
            Mood::Good => self.end.poll_read(cx, buf),
            Mood::Short(most) => {
                let most = most.min(buf.len());
                self.end.poll_read(cx, &mut buf[..most])
            }
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.mood(cx) {
            Mood::Later => Poll::Pending,
            Mood::Good => self.end.poll_write(cx, buf),
            Mood::Short(most) => self.end.poll_write(cx, &buf[..most.min(buf.len())]),
        }
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.mood(cx) {
            Mood::Later => Poll::Pending,
            Mood::Good => self.end.poll_write_vectored(cx, bufs),
            Mood::Short(most) => {
                let all: Vec<u8> = bufs.iter().flat_map(|buf| buf.iter().copied()).collect();
                self.end.poll_write(cx, &all[..most.min(all.len())])
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.end.is_write_vectored()
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.mood(cx) {
            Mood::Later => Poll::Pending,
            _ => self.end.poll_flush(cx),
        }
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.mood(cx) {
            Mood::Later => Poll::Pending,
            _ => self.end.poll_shutdown(cx),
        }
    }

    fn half_closes(&self) -> bool {
        self.end.half_closes()
    }
}
