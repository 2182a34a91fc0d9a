//! How to write a binding: the core on a transport of your own.
//!
//! A binding supplies three things that the core does not have: a transport, a clock, and a way to wait. This page
//! shows how it uses them. The examples are compiled and run.
//!
//! # A turn
//!
//! The loop on the [crate's page](crate) waits inside its transport. Most bindings wait elsewhere: for a waker, for
//! `epoll`, for the next frame of a game. They need a turn that does everything that can be done now:
//!
//! ```
//! use std::io::{ErrorKind, Read, Write};
//!
//! use bowline_proto::{Chunk, Connection, Event, Instant, Lost, Pull, ConnectionError};
//! use bytes::Buf;
//!
//! /// Returns the next event. After `None`, wait until `io` can be read, until it can be
//! /// written if output waits, or until `poll_timeout`, and call this again, unless the
//! /// connection has ended.
//! fn next_event(
//!     connection: &mut Connection,
//!     io: &mut (impl Read + Write),
//!     now: Instant,
//! ) -> Result<Option<Event<Chunk>>, ConnectionError> {
//!     loop {
//!         let event = connection.poll_data(Pull::Messages);
//!         // Write a Pong, or a Close that reports an error, before anything else.
//!         write(connection, io);
//!         if let Some(event) = event? {
//!             return Ok(Some(event));
//!         }
//!         let heard = read(connection, io);
//!         let timed = connection.poll_timeout().is_some_and(|at| at <= now);
//!         if timed {
//!             connection.handle_timeout(now);
//!         }
//!         if !heard && !timed {
//!             return Ok(None);
//!         }
//!     }
//! }
//!
//! fn write(connection: &mut Connection, io: &mut impl Write) {
//!     while let Some(output) = connection.transmit() {
//!         match io.write(output.chunk()) {
//!             Ok(len) if len > 0 => output.advance(len),
//!             Err(error) if error.kind() == ErrorKind::WouldBlock => {
//!                 // Call it here too: it starts the write deadline.
//!                 return connection.handle_sent(false);
//!             }
//!             _ => return connection.handle_error(Lost::Failed),
//!         }
//!         let flushed = io.flush().is_ok();
//!         connection.handle_sent(flushed);
//!     }
//! }
//!
//! /// Returns whether anything happened.
//! fn read(connection: &mut Connection, io: &mut impl Read) -> bool {
//!     let Some(room) = connection.recv_buf() else {
//!         return false;
//!     };
//!     match io.read(room) {
//!         Ok(0) => connection.handle_eof(),
//!         Ok(len) => connection.handle_input(len),
//!         Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
//!         Err(_) => connection.handle_error(Lost::Failed),
//!     }
//!     true
//! }
//! #
//! # // Over a pipe that takes 7 bytes at a time.
//! # use std::{cell::RefCell, collections::VecDeque, io, rc::Rc, sync::Arc, time::Duration};
//! # use bowline_proto::{CloseCode, Config, Message, Negotiated, Role, State};
//! # type Pipe = Rc<RefCell<VecDeque<u8>>>;
//! # struct End(Pipe, Pipe);
//! # impl Read for End {
//! #     fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
//! #         match self.0.borrow_mut().read(room) {
//! #             Ok(0) => Err(ErrorKind::WouldBlock.into()),
//! #             read => read,
//! #         }
//! #     }
//! # }
//! # impl Write for End {
//! #     fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
//! #         let mut pipe = self.1.borrow_mut();
//! #         let len = bytes.len().min(7 - pipe.len());
//! #         pipe.extend(&bytes[..len]);
//! #         if len > 0 { Ok(len) } else { Err(ErrorKind::WouldBlock.into()) }
//! #     }
//! #     fn flush(&mut self) -> io::Result<()> {
//! #         Ok(())
//! #     }
//! # }
//! # let (up, down) = (Pipe::default(), Pipe::default());
//! # let (mut a, mut b) = (End(down.clone(), up.clone()), End(up, down));
//! # let config = Arc::new(Config::new(|bytes| Ok(bytes.fill(7))));
//! # let now = Instant::EPOCH;
//! # let mut client = Connection::new(Role::Client, Negotiated::default(), config.clone());
//! # let mut server = Connection::new(Role::Server, Negotiated::default(), config.clone());
//! # let text = Message::from("a message of more than seven bytes");
//! # client.send(text.clone()).unwrap();
//! # client.close(Some(CloseCode::NORMAL.into()));
//! # let mut events = Vec::new();
//! # for _ in 0..30 {
//! #     while let Some(_) = next_event(&mut client, &mut a, now).unwrap() {}
//! #     while let Some(event) = next_event(&mut server, &mut b, now).unwrap() {
//! #         events.push(event);
//! #     }
//! # }
//! # let text = Chunk { data: text, fin: true };
//! # assert_eq!(events, [Event::Data(text), Event::Close(Some(CloseCode::NORMAL.into()))]);
//! # assert!(server.wants_shutdown() && !client.wants_shutdown());
//! # // A peer that takes nothing, and says nothing.
//! # let mut lonely = Connection::new(Role::Server, Negotiated::default(), config.clone());
//! # lonely.send("x".repeat(100)).unwrap();
//! # assert_eq!(next_event(&mut lonely, &mut b, now), Ok(None));
//! # let later = lonely.poll_timeout().unwrap();
//! # assert_eq!(Some(later.since_epoch()), config.write_timeout);
//! # assert!(next_event(&mut lonely, &mut b, later).is_err());
//! # assert_eq!(lonely.state(), State::Closed);
//! ```
//!
//! Common mistakes:
//!
//! - Call [`handle_sent`](crate::Connection::handle_sent) after **every** attempt to write, even one
//!   that wrote nothing: it starts and stops the write deadline.
//! - Report the end of the input with [`handle_eof`](crate::Connection::handle_eof). It takes effect after
//!   everything received before it, and so does a failure. Never stop polling because the transport failed.
//! - **Read once more before you pass the time**, or a Pong that waits in the socket counts as late.
//! - After an error of `poll_data` continue with the turns until the state is
//!   [`Closed`](crate::State::Closed): the Close that reports the error to the peer must be sent.
//! - Always write before you wait. The peer may be waiting for you.
//! - If you ask for chunks and then for whole messages, the remainder of a compressed message is skipped in
//!   steps. While [`is_skipping`](crate::Connection::is_skipping) returns true, there is no event and nothing
//!   to wait for. Take another turn.
//! - However many Pings came, only the latest gets a Pong. If you write after every event, each Ping gets its
//!   own.
//! # The opening handshake
//!
//! [`Server`] and [`Client`] hold an [`Exchange`], which has the same verbs as a connection and is served by the
//! same turn. Poll the machine after each turn, until it returns a connection or an error:
//!
//! ```
//! use std::sync::Arc;
//!
//! use bowline_proto::{
//!     Config, Connection,
//!     handshake::{Client, Exchange, HandshakeError, Request, Response, Server},
//! };
//!
//! /// Opens the connection for every client. `serve` is a turn that waits.
//! fn accept(
//!     config: Arc<Config>,
//!     mut serve: impl FnMut(&mut Exchange),
//! ) -> Result<Connection, HandshakeError> {
//!     let mut server = Server::new(config);
//!     loop {
//!         match server.poll() {
//!             // Decide, however long that takes: `accept`, `open` or `refuse`.
//!             Ok(Some(incoming)) => return Ok(incoming.open()),
//!             Ok(None) => serve(server.exchange()),
//!             Err(error) => {
//!                 // The client still gets the reason.
//!                 while !server.exchange().is_done() {
//!                     serve(server.exchange());
//!                 }
//!                 return Err(error);
//!             }
//!         }
//!     }
//! }
//!
//! fn connect(
//!     request: Request,
//!     config: Arc<Config>,
//!     mut serve: impl FnMut(&mut Exchange),
//! ) -> Result<(Response, Connection), Box<dyn std::error::Error>> {
//!     let mut client = Client::new(request, config)?;
//!     loop {
//!         match client.poll()? {
//!             Some(open) => return Ok(open),
//!             None => serve(client.exchange()),
//!         }
//!     }
//! }
//! #
//! # // Each end to a script of the other.
//! # use bytes::Buf;
//! # let config = Arc::new(Config::new(|bytes| Ok(bytes.fill(7))));
//! # let script = |mut input: &'static [u8], output: std::rc::Rc<std::cell::RefCell<Vec<u8>>>| {
//! #     move |exchange: &mut Exchange| {
//! #         while let Some(out) = exchange.transmit() {
//! #             output.borrow_mut().extend_from_slice(out.chunk());
//! #             out.advance(out.chunk().len());
//! #             exchange.handle_sent(true);
//! #         }
//! #         if let Some(room) = exchange.recv_buf() {
//! #             let len = input.len().min(9);
//! #             room[..len].copy_from_slice(&input[..len]);
//! #             input = &input[len..];
//! #             if len > 0 { exchange.handle_input(len) } else { exchange.handle_eof() }
//! #         }
//! #         exchange.handle_timeout(bowline_proto::Instant::EPOCH);
//! #     }
//! # };
//! # let output = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
//! # let request = Request::new("a.test", "/").unwrap();
//! # let ended = connect(request, config.clone(), script(b"", output.clone()));
//! # assert!(ended.is_err());
//! # assert!(output.borrow().starts_with(b"GET / HTTP/1.1\r\nHost: a.test\r\n"));
//! # output.borrow_mut().clear();
//! # let request = b"GET / HTTP/1.1\r\nHost: a.test\r\nUpgrade: websocket\r\n\
//! #     Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
//! # let mut open = accept(config.clone(), script(request, output.clone())).unwrap();
//! # assert!(open.transmit().unwrap().chunk().starts_with(b"HTTP/1.1 101 "));
//! # let serve = script(b"POST / HTTP/1.1\r\n\r\n", output.clone());
//! # let ended = accept(config, serve);
//! # assert!(ended.is_err());
//! # assert!(output.borrow().starts_with(b"HTTP/1.1 405 "));
//! ```
//!
//! The unwritten part of the server's answer, and any bytes that the peer sent after its part, are already in the
//! connection. A server that gets a request parsed by another HTTP server answers with [`respond`].
//!
//! # The end
//!
//! Three getters say what to do:
//!
//! | when | do |
//! |---|---|
//! | [`wants_shutdown`](crate::Connection::wants_shutdown) | end your direction of the transport (with TLS, send `close_notify` first), and go on reading: dropping a transport with unread input may reset it, and the peer may lose the Close that was sent |
//! | [`state`](crate::Connection::state) is [`Closed`](crate::State::Closed) | drop the transport |
//! | then | [`closed`](crate::Connection::closed) returns the code, the reason, which end began, and whether it was clean |
//!
//! [`close`](crate::Connection::close) begins the closing handshake, and [`abort`](crate::Connection::abort) ends
//! the connection without it.
//!
//! # Back-pressure
//!
//! Nothing is parsed until it is asked for, and [`recv_buf`](crate::Connection::recv_buf) lends no room until
//! everything is polled. A binding that stops polling therefore stops reading, and TCP slows the peer down. In the
//! other direction [`is_full`](crate::Connection::is_full) asks you to write before you queue more. Wait for that
//! in your `send`, and read meanwhile: otherwise two ends that both send a lot wait for each other forever.
//!
//! # Speed and memory
//!
//! - [`Transmit`](crate::Transmit) is a [`bytes::Buf`]. Large messages are not copied into it:
//!   `chunks_vectored` passes the header and the payload to one system call.
//! - A waiting connection should hold no buffer. [`split`](crate::Connection::split) it,
//!   [`lend`](crate::Receiver::lend) one buffer per thread to the receiver that is about to read, and
//!   [`take_back`](crate::Receiver::take_back) the buffer afterwards. The sender has the same pair.
//! - The halves can also serve two tasks or two threads without a lock around both. Call
//!   [`meet`](crate::Receiver::meet), under a lock of the sender alone, after each call that polls, passes the
//!   time or reports a write: everything that one half must know of the other is exchanged there.
//!
//! `bowline-bind` does all of this for every asynchronous binding; a binding to a runtime only implements its three
//! small traits.
//!
//! # Tests
//!
//! Two ends need no network, and the test decides how time passes:
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//!
//! use bowline_proto::{
//!     Chunk, CloseCode, Config, Connection, Deadline, Event, Instant, Negotiated, Pull, ConnectionError, Role,
//! };
//! use bytes::Buf;
//!
//! fn pass(from: &mut Connection, to: &mut Connection) {
//!     while let Some(output) = from.transmit() {
//!         let taken = to.receive(output.chunk());
//!         output.advance(taken);
//!         from.handle_sent(true);
//!     }
//! }
//!
//! // A test needs no real randomness.
//! let config = Arc::new(Config::new(|bytes| Ok(bytes.fill(7))));
//! let start = Instant::EPOCH;
//! let mut client = Connection::new(Role::Client, Negotiated::default(), config.clone());
//! let mut server = Connection::new(Role::Server, Negotiated::default(), config.clone());
//!
//! client.send("hello").unwrap();
//! pass(&mut client, &mut server);
//! let hello = Chunk { data: "hello".into(), fin: true };
//! assert_eq!(server.poll_data(Pull::Messages), Ok(Some(Event::Data(hello))));
//!
//! // The server closes, and the client never answers.
//! server.close(Some(CloseCode::GOING_AWAY.into()));
//! pass(&mut server, &mut client);
//! server.handle_timeout(start);
//! let later = start.checked_add(Duration::from_secs(5)).unwrap();
//! assert_eq!(server.poll_timeout(), Some(later));
//! server.handle_timeout(later);
//! let error = ConnectionError::TimedOut(Deadline::Close);
//! assert_eq!(server.poll_data(Pull::Messages), Err(error));
//! ```
//!
//! [`Server`]: crate::handshake::Server
//! [`Client`]: crate::handshake::Client
//! [`Exchange`]: crate::handshake::Exchange
//! [`respond`]: crate::handshake::respond
