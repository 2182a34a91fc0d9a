//! One end of a connection with the same calls whether it is whole or split, so that a test drives both in the same
//! way.

use std::{fmt, time::Duration};

use bytes::Buf;
use proto::{
    Chunk, CloseFrame, Closed, Connection, ConnectionError, ControlPayload, Event, Instant, Lost,
    Outgoing, Pull, Receiver, RecvBuf, SendError, Sender, State,
};

use super::fill;

/// A connection, or the two halves that it was split into.
pub struct Halves {
    held: Held,
    /// The buffer that the receiver of a split connection borrows for a read. It is absent while the receiver has
    /// it.
    loan: Option<Box<RecvBuf>>,
    /// The size of that buffer, in octets.
    loan_size: usize,
}

enum Held {
    Whole(Box<Connection>),
    Split(Box<Receiver>, Box<Sender>),
    /// A placeholder while the connection is being split.
    Nothing,
}

/// Makes the same call on a connection, or on its two halves.
macro_rules! either {
    ($held:expr, $conn:pat => $whole:expr, ($rx:pat, $tx:pat) => $split:expr) => {
        match $held {
            Held::Whole($conn) => $whole,
            Held::Split($rx, $tx) => $split,
            Held::Nothing => unreachable!("it is whole or split"),
        }
    };
}

impl Halves {
    /// Wraps a whole connection that reads with a loan of `loan` octets after it is split.
    pub fn new(connection: Connection, loan: usize) -> Self {
        let loan = RecvBuf::new(loan);
        Self {
            held: Held::Whole(Box::new(connection)),
            loan_size: loan.size(),
            loan: Some(loan),
        }
    }

    /// Splits the connection, if it is whole.
    pub fn split(&mut self) {
        self.held = match std::mem::replace(&mut self.held, Held::Nothing) {
            Held::Whole(connection) => {
                let (rx, tx) = connection.split();
                Held::Split(Box::new(rx), Box::new(tx))
            }
            split => split,
        };
    }

    /// Returns the sender, if the connection is split.
    pub fn sender(&self) -> Option<&Sender> {
        either!(&self.held, _ => None, (_, tx) => Some(&**tx))
    }

    // ---- Verbs ------------------------------------------------------------------------------------

    pub fn send(&mut self, message: impl Into<Outgoing>) -> Result<(), SendError> {
        either!(&mut self.held, conn => conn.send(message), (_, tx) => tx.send(message))
    }

    pub fn send_chunk(&mut self, chunk: Chunk) -> Result<(), SendError> {
        either!(&mut self.held, conn => conn.send_chunk(chunk), (_, tx) => tx.send_chunk(chunk))
    }

    pub fn ping(&mut self, payload: ControlPayload) -> Result<(), SendError> {
        either!(&mut self.held, conn => conn.ping(payload), (_, tx) => tx.ping(payload))
    }

    pub fn pong(&mut self, payload: ControlPayload) -> Result<(), SendError> {
        either!(&mut self.held, conn => conn.pong(payload), (_, tx) => tx.pong(payload))
    }

    pub fn close(&mut self, frame: Option<CloseFrame>) {
        either!(&mut self.held, conn => conn.close(frame), (rx, tx) => {
            tx.close(frame);
            rx.meet(tx);
        });
    }

    pub fn abort(&mut self) {
        either!(&mut self.held, conn => conn.abort(), (rx, tx) => {
            tx.abort();
            rx.meet(tx);
        });
    }

    // ---- Input ------------------------------------------------------------------------------------

    /// Reads from the front of `bytes` into the end's own memory, or into the loan, and returns how many octets it
    /// read. Returns `None` if earlier input is not polled completely, or nothing more is read.
    pub fn read(&mut self, bytes: &[u8]) -> Option<usize> {
        match &mut self.held {
            Held::Whole(conn) => {
                let taken = fill(conn.recv_buf()?, bytes);
                conn.handle_input(taken);
                Some(taken)
            }
            Held::Split(rx, _) => {
                if rx.wants_loan()
                    && let Some(loan) = self.loan.take()
                {
                    rx.lend(loan);
                }
                let taken = fill(rx.recv_buf()?, bytes);
                rx.handle_input(taken);
                Some(taken)
            }
            Held::Nothing => unreachable!("it is whole or split"),
        }
    }

    /// Lets the end copy the front of `bytes`, and returns how many octets it took.
    pub fn receive(&mut self, bytes: &[u8]) -> usize {
        let taken =
            either!(&mut self.held, conn => conn.receive(bytes), (rx, _) => rx.receive(bytes));
        assert!(taken <= bytes.len());
        taken
    }

    /// Ends the transport in order.
    pub fn eof(&mut self) {
        either!(&mut self.held, conn => conn.handle_eof(), (rx, _) => rx.handle_eof());
    }

    /// Loses the transport.
    pub fn lose(&mut self, lost: Lost) {
        either!(&mut self.held, conn => conn.handle_error(lost), (rx, tx) => {
            tx.handle_end(ConnectionError::Lost(lost));
            rx.handle_end(ConnectionError::Lost(lost));
        });
    }

    /// Takes the loan back, if the receiver has it and does not need it.
    pub fn take_back(&mut self) {
        if let Held::Split(rx, _) = &mut self.held
            && let Some(loan) = rx.take_back()
        {
            assert_eq!(loan.size(), self.loan_size, "it comes back as it was lent");
            self.loan = Some(loan);
        }
    }

    // ---- Output -----------------------------------------------------------------------------------

    /// Returns the next event, with whole messages or with chunks.
    pub fn poll(&mut self, chunks: bool) -> Result<Option<Event<Chunk>>, ConnectionError> {
        let pull = if chunks { Pull::Chunks } else { Pull::Messages };
        let polled = either!(
            &mut self.held,
            conn => conn.poll_data(pull),
            (rx, _) => rx.poll_data(pull)
        );
        self.meet();
        polled
    }

    /// Whether everything received was polled, and more may be read.
    pub fn wants_input(&mut self) -> bool {
        either!(&mut self.held, conn => conn.recv_buf().is_some(), (rx, _) => rx.wants_input())
    }

    pub fn is_skipping(&self) -> bool {
        either!(&self.held, conn => conn.is_skipping(), (rx, _) => rx.is_skipping())
    }

    /// Takes at most `most` octets of the output, from one slice or from several. [`Halves::sent`] must follow.
    pub fn take(&mut self, most: usize, vectored: bool) -> Vec<u8> {
        let transmit = either!(&mut self.held, conn => conn.transmit(), (_, tx) => tx.transmit());
        let mut part = Vec::new();
        if let Some(transmit) = transmit {
            assert!(transmit.has_remaining());
            if vectored {
                let mut slices = [std::io::IoSlice::new(&[]); 4];
                let count = transmit.chunks_vectored(&mut slices);
                for slice in &slices[..count] {
                    let len = slice.len().min(most - part.len());
                    part.extend_from_slice(&slice[..len]);
                }
            } else {
                let chunk = transmit.chunk();
                part.extend_from_slice(&chunk[..chunk.len().min(most)]);
            }
            assert!(!part.is_empty() || most == 0, "an empty write");
            transmit.advance(part.len());
        }
        part
    }

    /// Reports an attempt to write, and whether the transport is flushed.
    pub fn sent(&mut self, flushed: bool) {
        either!(
            &mut self.held,
            conn => conn.handle_sent(flushed),
            (_, tx) => tx.handle_sent(flushed)
        );
        self.meet();
    }

    /// Whether something waits to be written.
    pub fn has_output(&mut self) -> bool {
        either!(
            &mut self.held,
            conn => conn.transmit().is_some(),
            (_, tx) => tx.transmit().is_some()
        )
    }

    fn meet(&mut self) {
        if let Held::Split(rx, tx) = &mut self.held {
            rx.meet(tx);
        }
    }

    // ---- Time -------------------------------------------------------------------------------------

    pub fn poll_timeout(&self) -> Option<Instant> {
        either!(&self.held, conn => conn.poll_timeout(), (rx, tx) => {
            [rx.poll_timeout(), tx.poll_timeout()].into_iter().flatten().min()
        })
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        either!(&mut self.held, conn => conn.handle_timeout(now), (rx, tx) => {
            let _ = rx.handle_timeout(now);
            let _ = tx.handle_timeout(now);
        });
        self.meet();
    }

    // ---- How things stand -------------------------------------------------------------------------

    pub fn state(&self) -> State {
        either!(&self.held, conn => conn.state(), (rx, tx) => {
            if rx.is_done() {
                State::Closed
            } else if rx.is_closing() || tx.is_closing() {
                State::Closing
            } else {
                State::Open
            }
        })
    }

    pub fn wants_shutdown(&self) -> bool {
        either!(&self.held, conn => conn.wants_shutdown(), (rx, tx) => {
            rx.is_done() || tx.wants_shutdown()
        })
    }

    pub fn closed(&self) -> Option<Closed> {
        either!(&self.held, conn => conn.closed(), (rx, _) => {
            rx.closed().filter(|_| rx.is_done())
        })
    }

    pub fn latency(&self) -> Option<Duration> {
        either!(&self.held, conn => conn.latency(), (rx, _) => rx.latency())
    }
}

/// Shows the connection, or its halves.
impl fmt::Debug for Halves {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        either!(&self.held, conn => conn.fmt(f), (rx, tx) => (rx, tx).fmt(f))
    }
}
