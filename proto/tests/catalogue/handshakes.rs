//! Both ends of the opening handshake, driven as a binding drives them, and what the table expects of them.

use std::{sync::Arc, time::Duration};

use bowline_proto::{
    Config, Connection, Instant, Role,
    handshake::{Client, Exchange, HandshakeError, Incoming, Request, Response, Server},
};
use bytes::Buf;
use testing::catalogue::{
    answer::Answer,
    entries::{Case, Compression, Expect, Options},
};

use crate::{
    driver::{End, config},
    table,
};

/// Returns the time when handshakes begin.
pub(crate) fn start() -> Instant {
    Instant::from_epoch(Duration::from_secs(1000))
}

/// A server whose application accepts every valid request from an origin that is allowed.
pub(crate) struct ServerEnd {
    server: Server,
    pub(crate) stage: Stage,
    origins: Option<Vec<String>>,
    pub(crate) now: Instant,
    pub(crate) errors: Vec<HandshakeError>,
    pub(crate) request: Option<Request>,
    /// Everything that was written, including frames.
    pub(crate) out: Vec<u8>,
}

pub(crate) enum Stage {
    /// The server's exchange is served.
    Handshake,
    Open(Box<End>),
    /// The application refused.
    Refused(Exchange),
}

impl ServerEnd {
    pub(crate) fn new(options: &Options) -> Self {
        Self::with(&config(|config| apply(options, config)), options)
    }

    pub(crate) fn with(config: &Arc<Config>, options: &Options) -> Self {
        let mut server = Server::new(config.clone());
        server.exchange().handle_timeout(start());
        Self {
            server,
            stage: Stage::Handshake,
            origins: options.origins.clone(),
            now: start(),
            errors: Vec::new(),
            request: None,
            out: Vec::new(),
        }
    }

    pub(crate) fn exchange(&mut self) -> Option<&mut Exchange> {
        match &mut self.stage {
            Stage::Handshake => Some(self.server.exchange()),
            Stage::Refused(exchange) => Some(exchange),
            Stage::Open(_) => None,
        }
    }

    pub(crate) fn end(&mut self) -> &mut End {
        match &mut self.stage {
            Stage::Open(end) => end,
            _ => panic!("not open: {:?}", self.errors),
        }
    }

    pub(crate) fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let Some(exchange) = self.exchange() else {
                let end = self.end();
                end.feed(bytes);
                return self.take_output();
            };
            let Some(room) = exchange.recv_buf() else {
                return self.poll();
            };
            let len = room.len().min(bytes.len());
            room[..len].copy_from_slice(&bytes[..len]);
            bytes = &bytes[len..];
            exchange.handle_input(len);
            self.poll();
        }
    }

    pub(crate) fn eof(&mut self) {
        match self.exchange() {
            Some(exchange) => exchange.handle_eof(),
            None => self.end().eof(),
        }
        self.poll();
    }

    pub(crate) fn poll(&mut self) {
        if let Stage::Handshake = self.stage {
            match self.server.poll() {
                Ok(Some(incoming)) => self.decide(incoming),
                Ok(None) => {}
                Err(error) => self.errors.push(error),
            }
        }
        self.write();
    }

    fn decide(&mut self, incoming: Incoming) {
        self.request = Some(incoming.request().clone());
        let allowed = self.origins.as_ref().is_none_or(|origins| {
            let origins: Vec<&str> = origins.iter().map(String::as_str).collect();
            incoming.origin_allowed(&origins)
        });
        self.stage = if allowed {
            let conn = incoming.open();
            let mut end = End::from_parts(conn, Role::Server, self.now);
            end.poll();
            Stage::Open(Box::new(end))
        } else {
            Stage::Refused(incoming.refuse(Response::new(403, "not from there\n")))
        };
    }

    fn write(&mut self) {
        let Some(exchange) = self.exchange() else {
            return self.take_output();
        };
        let out = write(exchange);
        self.out.extend(out);
    }

    fn take_output(&mut self) {
        let out = std::mem::take(&mut self.end().out);
        self.out.extend(out);
    }

    /// Serves every deadline until `after` has passed.
    pub(crate) fn wait(&mut self, after: Duration) {
        let until = self.now.checked_add(after).expect("a moment");
        for _ in 0..1000 {
            let now = self.now;
            match self.exchange() {
                Some(exchange) if exchange.poll_timeout().is_some_and(|at| at <= until) => {
                    let at = exchange.poll_timeout().expect("a deadline");
                    exchange.handle_timeout(now.max(at));
                    self.now = now.max(at);
                    self.poll();
                }
                _ => {
                    self.now = until;
                    return;
                }
            }
        }
        panic!("deadlines without end");
    }
}

/// A client that asks for `/chat` with the sample key.
pub(crate) struct ClientEnd {
    pub(crate) client: Client,
    pub(crate) open: Option<(Response, Box<End>)>,
    pub(crate) errors: Vec<HandshakeError>,
    pub(crate) now: Instant,
    /// The request.
    pub(crate) out: Vec<u8>,
}

impl ClientEnd {
    pub(crate) fn new(options: &Options) -> Self {
        Self::with(&config(|config| apply(options, config)), options)
    }

    pub(crate) fn with(config: &Arc<Config>, options: &Options) -> Self {
        let mut request = Request::new("a.test", "/chat").expect("a valid request");
        for name in &options.subprotocols {
            let headers = request.headers_mut();
            headers
                .push("Sec-WebSocket-Protocol", name.clone())
                .expect("a valid field");
        }
        let mut client = Client::new(request, config.clone()).expect("a valid request");
        client.exchange().handle_timeout(start());
        let out = write(client.exchange());
        Self {
            client,
            open: None,
            errors: Vec::new(),
            now: start(),
            out,
        }
    }

    pub(crate) fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if let Some((_, end)) = &mut self.open {
                return end.feed(bytes);
            }
            let Some(room) = self.client.exchange().recv_buf() else {
                return self.poll();
            };
            let len = room.len().min(bytes.len());
            room[..len].copy_from_slice(&bytes[..len]);
            bytes = &bytes[len..];
            self.client.exchange().handle_input(len);
            self.poll();
        }
    }

    pub(crate) fn eof(&mut self) {
        match &mut self.open {
            Some((_, end)) => end.eof(),
            None => {
                self.client.exchange().handle_eof();
                self.poll();
            }
        }
    }

    pub(crate) fn poll(&mut self) {
        if self.open.is_some() {
            return;
        }
        for _ in 0..10 {
            match self.client.poll() {
                Ok(Some((response, conn))) => return self.opened(response, conn),
                Ok(None) => {}
                Err(error) => self.errors.push(error),
            }
            // Its deadline may not have begun.
            match self.client.exchange().poll_timeout() {
                Some(at) if at <= self.now => self.client.exchange().handle_timeout(self.now),
                _ => return,
            }
        }
        panic!("polls without end");
    }

    fn opened(&mut self, response: Response, conn: Connection) {
        let mut end = End::from_parts(conn, Role::Client, self.now);
        end.poll();
        self.open = Some((response, Box::new(end)));
    }

    /// Serves every deadline until `after` has passed.
    pub(crate) fn wait(&mut self, after: Duration) {
        self.now = self.now.checked_add(after).expect("a moment");
        self.poll();
        self.poll();
    }
}

fn write(exchange: &mut Exchange) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(transmit) = exchange.transmit() {
        let chunk = transmit.chunk();
        let len = chunk.len();
        out.extend_from_slice(chunk);
        transmit.advance(len);
        exchange.handle_sent(true);
    }
    out
}

fn apply(options: &Options, config: &mut Config) {
    if let Some(required) = options.require_subprotocol {
        config.require_subprotocol = required;
    }
    config.deflate = options.deflate.map(Compression::options);
}

/// A way to cut an input into reads.
type Cut = fn(&[u8]) -> Vec<&[u8]>;

const CUTS: [Cut; 2] = [
    |input| vec![input],
    |input| {
        // For a long input: the ends, and one part of the middle at a time.
        let (front, rest) = input.split_at(input.len().min(20_000));
        let front = front.chunks(1);
        front.chain(rest.chunks(1000)).collect()
    },
];

pub(crate) fn run_server(id: &str, case: &Case) {
    for input in case.to_server() {
        let what = case.what.as_deref().unwrap_or_default();
        let _context = table::Context::new(id, what, Role::Server, &input);
        for cuts in CUTS {
            let mut end = ServerEnd::new(&case.config);
            cuts(&input).into_iter().for_each(|part| end.feed(part));
            check_server(&case.expect, &mut end);
        }
    }
}

fn check_server(expect: &Expect, end: &mut ServerEnd) {
    let out = end.out.clone();
    let answer = Answer::parse(&out);
    let status = expect.status.as_ref().expect("the table has a status");
    assert!(status.allows(answer.status), "status {}", answer.status);
    for (name, value) in &expect.fields {
        assert_eq!(answer.field(name), value.as_deref(), "field {name}");
    }
    match end.errors.as_slice() {
        [] => assert_eq!(expect.error, None),
        [HandshakeError::Request(error)] => {
            assert_eq!(error.status(), answer.status);
            if let Some(name) = &expect.error {
                assert_eq!(&format!("{error:?}"), name, "error");
            }
        }
        other => panic!("{other:?}"),
    }
    if answer.status != 101 {
        answer.check_refusal();
        return check_refused(end);
    }

    let request = end.request.as_ref().expect("it was accepted");
    if let Some(target) = &expect.target {
        assert_eq!(request.target(), target);
    }
    if let Some(host) = &expect.host {
        assert_eq!(request.host(), Some(host.as_str()));
    }
    if let Some(subprotocols) = &expect.subprotocols {
        assert_eq!(request.subprotocols().collect::<Vec<_>>(), *subprotocols);
    }
    assert_eq!(answer.rest, b"", "something follows the 101");
    let end = end.end();
    assert_eq!(end.events, table::events(&expect.events));
    assert_eq!(end.errors, []);
    // It is a connection.
    end.events.clear();
    end.frame(0x81, "alive");
    assert_eq!(end.events.len(), 1);
}

/// The answer was sent. Our direction ends and input is discarded, until the peer ends or the deadline passes.
fn check_refused(end: &mut ServerEnd) {
    let before = (end.out.len(), end.errors.len());
    for peer_ends in [false, true] {
        let exchange = end.exchange().expect("it was refused");
        if !peer_ends {
            assert!(exchange.wants_shutdown());
            assert!(!exchange.is_done());
        }
        end.feed(&vec![b'G'; 1 << 20]);
        for _ in 0..1000 {
            end.poll();
        }
        assert_eq!(before, (end.out.len(), end.errors.len()));
        if peer_ends {
            end.eof();
        } else {
            end.wait(Duration::from_secs(5));
        }
        assert!(end.exchange().expect("it was refused").is_done());
    }
    assert_eq!(before, (end.out.len(), end.errors.len()));
}

pub(crate) fn run_client(id: &str, case: &Case) {
    for input in case.to_client() {
        let what = case.what.as_deref().unwrap_or_default();
        let _context = table::Context::new(id, what, Role::Client, &input);
        for cuts in CUTS {
            let mut end = ClientEnd::new(&case.config);
            assert!(end.out.starts_with(b"GET /chat HTTP/1.1\r\n"));
            cuts(&input).into_iter().for_each(|part| end.feed(part));
            check_client(&case.expect, &mut end);
        }
    }
}

fn check_client(expect: &Expect, end: &mut ClientEnd) {
    if let Some((response, end)) = &mut end.open {
        assert!(expect.open, "it is open");
        assert_eq!(response.status, 101);
        assert_eq!(end.events, table::events(&expect.events));
        assert_eq!(end.errors, []);
        end.events.clear();
        end.frame(0x81, "alive");
        assert_eq!(end.events.len(), 1);
        let picked = response.headers.get("Sec-WebSocket-Protocol");
        assert_eq!(picked, expect.subprotocol.as_deref().map(str::as_bytes));
        return;
    }
    assert!(!expect.open, "not open: {:?}", end.errors);
    let name = expect.error.as_deref().expect("the table has an error");
    assert_eq!(end.errors.len(), 1, "an error before the transport ends");
    end.feed(&vec![b'H'; 1 << 20]);
    end.eof();
    for _ in 0..1000 {
        end.poll();
    }
    let [error] = end.errors.as_slice() else {
        panic!("{:?}", end.errors);
    };
    match error {
        HandshakeError::Response(error) => assert_eq!(format!("{error:?}"), name),
        HandshakeError::Refused(response) => {
            assert_eq!(name, "Refused");
            assert!(
                expect
                    .status
                    .as_ref()
                    .is_some_and(|status| status.allows(response.status))
            );
            for (name, value) in &expect.fields {
                let got = response.headers.get(name);
                assert_eq!(got, value.as_deref().map(str::as_bytes), "field {name}");
            }
            assert_eq!(Some(response.body.len()), expect.body);
        }
        other => panic!("{other:?}"),
    }
    assert!(end.client.exchange().is_done());
}
