use std::{
    fmt,
    io::{self, IoSlice, Read, Write},
    net::{Shutdown, SocketAddr},
    sync::{Arc, PoisonError},
    time::Duration,
};

use rustls::{
    ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection,
    pki_types::ServerName,
};

use crate::{
    Clock, PeerAddr, Transport,
    sync::{Mutex, MutexGuard},
    transport::timed_out,
};

/// How much is read from the transport at a time, in bytes: about a record.
const READ: usize = 16 << 10;
/// And while the session is not there yet.
const SHAKE: usize = 4 << 10;

/// A transport by TLS.
///
/// One thread may read while another writes: the lock is held to encrypt and to decrypt, never while
/// the transport below waits. The TLS handshake is done by the first reads.
pub struct Tls<S> {
    stream: S,
    session: Mutex<Session>,
}

struct Session {
    tls: Connection,
    /// Received, and not yet decrypted.
    received: Vec<u8>,
    /// Encrypted, and not yet sent.
    unsent: Vec<u8>,
}

impl<S: Transport> Tls<S> {
    /// The server's side. Given to [`accept`](crate::accept), the TLS handshake has to be complete
    /// before the deadline of the opening handshake.
    ///
    /// # Errors
    ///
    /// If `config` is not fit for use.
    pub fn server(stream: S, config: Arc<ServerConfig>) -> Result<Self, rustls::Error> {
        Ok(Self::new(stream, ServerConnection::new(config)?.into()))
    }

    /// The client's side, for those who connect by themselves; [`connect`](crate::connect) needs none.
    ///
    /// # Errors
    ///
    /// If `config` is not fit for use.
    pub fn client(
        stream: S,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> Result<Self, rustls::Error> {
        let tls = ClientConnection::new(config, name)?;
        Ok(Self::new(stream, tls.into()))
    }

    const fn new(stream: S, tls: Connection) -> Self {
        let session = Session {
            tls,
            received: Vec::new(),
            unsent: Vec::new(),
        };
        Self {
            stream,
            session: Mutex::new(session),
        }
    }

    /// A step of the TLS handshake, which waits once at most; whether it was the last.
    pub(crate) fn handshake(&self) -> io::Result<bool> {
        self.send()?;
        if !self.session().tls.is_handshaking() {
            return Ok(true);
        }
        if self.receive(&mut [0; SHAKE], S::read)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(false)
    }

    /// Receives from the transport, once, by way of `buf`, so that a thread that waits needs no memory of its
    /// own for that. Returns how much, before it is decrypted.
    fn receive(
        &self,
        buf: &mut [u8],
        read: impl FnOnce(&S, &mut [u8]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let most = buf.len().min(READ);
        let buf = &mut buf[..most];
        let len = read(&self.stream, buf)?.min(most);
        let mut session = self.session();
        let shaking = session.tls.is_handshaking();
        if len == 0 {
            // The session knows whether that is the end, or cut off.
            session.tls.read_tls(&mut io::empty())?;
        }
        let decrypted = session.decrypt_next(&buf[..len]);
        drop(session);
        if shaking {
            // Our part of the handshake, or what is wrong with the peer's.
            let sent = self.send();
            decrypted.and(sent)?;
        } else {
            decrypted?;
        }
        Ok(len)
    }

    /// Sends what is encrypted.
    fn send(&self) -> io::Result<()> {
        loop {
            let mut session = self.session();
            let mut unsent = std::mem::take(&mut session.unsent);
            while session.tls.wants_write() {
                session.tls.write_tls(&mut unsent)?;
            }
            drop(session);
            if unsent.is_empty() {
                return Ok(());
            }
            match self.stream.write(&unsent) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(len) => drop(unsent.drain(..len)),
                Err(error) => {
                    self.session().unsent = unsent;
                    return Err(error);
                }
            }
            self.session().unsent = unsent;
        }
    }
}

impl<S> Tls<S> {
    /// What is below.
    pub const fn get_ref(&self) -> &S {
        &self.stream
    }

    fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    /// Decrypts what was received, as far as there is room for it.
    fn decrypt(&mut self) -> io::Result<()> {
        // Nothing is kept for what may come later.
        let mut received = std::mem::take(&mut self.received);
        let (taken, decrypted) = self.decrypt_from(&received);
        if taken < received.len() {
            received.drain(..taken);
            self.received = received;
        }
        decrypted
    }

    /// As [`decrypt`](Self::decrypt), with what comes after that.
    fn decrypt_next(&mut self, bytes: &[u8]) -> io::Result<()> {
        if !self.received.is_empty() {
            self.received.extend_from_slice(bytes);
            return self.decrypt();
        }
        let (taken, decrypted) = self.decrypt_from(bytes);
        self.received.extend_from_slice(&bytes[taken..]);
        decrypted
    }

    /// How much of `bytes` was taken.
    fn decrypt_from(&mut self, bytes: &[u8]) -> (usize, io::Result<()>) {
        let mut rest = bytes;
        let mut decrypt = || {
            while !rest.is_empty() && self.tls.wants_read() {
                self.tls.read_tls(&mut rest)?;
                self.tls
                    .process_new_packets()
                    .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            }
            Ok(())
        };
        let decrypted = decrypt();
        (bytes.len() - rest.len(), decrypted)
    }

    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.decrypt()?;
        self.tls.reader().read(buf)
    }
}

impl<S: Transport> Transport for Tls<S> {
    fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.session().read(buf);
        match read {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            read => return read,
        }
        // Once: who drips bytes is not to keep the thread from looking at the time.
        if self.session().tls.is_handshaking() {
            self.handshake()?;
        } else {
            self.receive(buf, S::read)?;
        }
        self.session().read(buf)
    }

    fn read_now(&self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.session().read(buf);
        match read {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            read => return read,
        }
        self.receive(buf, S::read_now)?;
        self.session().read(buf)
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.send()?;
        let len = self.session().tls.writer().write_vectored(pieces)?;
        match self.send() {
            // It is taken all the same, and leaves with what comes next.
            Err(error) if !timed_out(&error) => Err(error),
            _ => Ok(len),
        }
    }

    fn flush(&self) -> io::Result<()> {
        self.send()
    }

    fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.stream.set_read_timeout(timeout)
    }

    fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.stream.set_write_timeout(timeout)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        if how == Shutdown::Write {
            self.session().tls.send_close_notify();
            self.send()?;
        }
        self.stream.shutdown(how)
    }

    fn clock(&self) -> Clock {
        self.stream.clock()
    }
}

impl<S: PeerAddr> PeerAddr for Tls<S> {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.stream.peer_addr()
    }
}

impl<S: fmt::Debug> fmt::Debug for Tls<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tls").field(&self.stream).finish()
    }
}
