//! Sends bytes to our server from a plain socket.

use std::{
    future::Future,
    net::{self, SocketAddr},
    sync::Arc,
};

use ::tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use bind::proto::{
    Role,
    handshake::{HandshakeError, Request, Response},
};
use testing::{
    catalogue::{
        answer::Answer,
        entries::{Case, Entry, Expect, Options},
    },
    frames::Frame,
};

use crate::{
    binding::{Binding, Incoming},
    client::listen,
    echo::{Ending, Report, check, config, echo, run as run_async, variant},
};

/// The sample request of RFC 6455 §1.3.
pub(crate) const REQUEST: &str = "GET /chat HTTP/1.1\r\nHost: a.test\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

/// Returns `head`, with compression offered if `options` have it.
pub(crate) fn with_extensions(head: &str, options: &Options) -> String {
    let Some(compression) = options.deflate else {
        return head.to_owned();
    };
    let mut field = "Sec-WebSocket-Extensions: permessage-deflate".to_owned();
    if compression.takeover == Some(false) {
        field += "; server_no_context_takeover; client_no_context_takeover";
    }
    head.replacen("\r\n\r\n", &format!("\r\n{field}\r\n\r\n"), 1)
}

/// The result of the server.
enum Served {
    Open(Box<(Request, Report)>),
    /// The application refused the request.
    Refused,
    Failed(HandshakeError),
}

pub(crate) fn run<B: Binding>(entry: &Entry, case: &Case) {
    for mut input in case.to_server() {
        let frames = case.expect.status.is_none();
        if frames {
            input.splice(0..0, with_extensions(REQUEST, &case.config).bytes());
        }
        let what = case.what.as_deref().unwrap_or_default();
        let _context = Context::new(&entry.id, what, "server", &input);
        let (out, served) = run_async(exchange::<B>(case.clone(), input));
        let answer = Answer::parse(&out);
        let expect = &case.expect;
        if frames {
            assert_eq!(answer.status, 101);
        } else {
            let status = expect.status.as_ref().expect("the table has a status");
            assert!(status.allows(answer.status), "status {}", answer.status);
            for (name, value) in &expect.fields {
                assert_eq!(answer.field(name), value.as_deref(), "field {name}");
            }
        }
        match served {
            Served::Open(opened) => {
                let (request, report) = *opened;
                check_request(expect, &request);
                check(case, Role::Server, answer.rest, &report);
            }
            Served::Refused => {
                assert_eq!(expect.error, None);
                answer.check_refusal();
            }
            Served::Failed(HandshakeError::Request(error)) => {
                if let Some(name) = &expect.error {
                    assert_eq!(&variant(&error), name);
                }
                assert_ne!(answer.status, 101);
                answer.check_refusal();
            }
            Served::Failed(error) => panic!("{error}"),
        }
    }
}

/// Checks the request that the application was given.
fn check_request(expect: &Expect, request: &Request) {
    if let Some(target) = &expect.target {
        assert_eq!(request.target(), target);
    }
    if let Some(host) = &expect.host {
        assert_eq!(request.host(), Some(host.as_str()));
    }
    if let Some(subprotocols) = &expect.subprotocols {
        assert_eq!(request.subprotocols().collect::<Vec<_>>(), *subprotocols);
    }
}

/// Sends `input` to a server, and reads until the server ends the transport.
async fn exchange<B: Binding>(case: Case, input: Vec<u8>) -> (Vec<u8>, Served) {
    let ending = Ending::of(&case.expect);
    let refused = case
        .expect
        .status
        .as_ref()
        .is_some_and(|status| !status.allows(101));
    let (addr, server) = serve::<B>(&case.config).await;
    let (mut reader, mut writer) = connect(addr).await.into_split();
    let write = async {
        writer.write_all(&input).await.expect("the server reads");
        match ending {
            Ending::Close if !refused => {
                let close = Frame::close(1000, "").from(Role::Client);
                writer.write_all(&close).await.expect("the server reads");
            }
            Ending::Eof => writer.shutdown().await.expect("the server reads"),
            _ => {}
        }
    };
    let read = async {
        let mut out = Vec::new();
        reader.read_to_end(&mut out).await.expect("EOF, no reset");
        out
    };
    let ((), out) = tokio::join!(write, read);
    drop((reader, writer));
    (out, server.await)
}

pub(crate) async fn connect(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(addr).await.expect("it listens");
    stream.set_nodelay(true).expect("TCP");
    stream
}

/// Accepts the next connection, for a binding.
pub(crate) async fn next(listener: &TcpListener) -> net::TcpStream {
    let (stream, _) = listener.accept().await.expect("a client");
    stream.into_std().expect("TCP")
}

/// Starts a server for one connection.
async fn serve<B: Binding>(options: &Options) -> (SocketAddr, impl Future<Output = Served>) {
    let (config, origins) = (Arc::new(config(options)), options.origins.clone());
    let (addr, listener) = listen().await;
    let server = ::tokio::spawn(async move {
        let incoming = match B::accept(next(&listener).await, &config).await {
            Ok(incoming) => incoming,
            Err(error) => return Served::Failed(error),
        };
        if let Some(origins) = origins {
            let origins: Vec<&str> = origins.iter().map(String::as_str).collect();
            if !incoming.origin_allowed(&origins) {
                incoming
                    .refuse(Response::new(403, "not from there\n"))
                    .await;
                return Served::Refused;
            }
        }
        let request = incoming.request().clone();
        let report = echo(incoming.open().await).await;
        Served::Open(Box::new((request, report)))
    });
    (addr, async { server.await.expect("the server") })
}

/// Prints which input failed if a check fails.
pub(crate) struct Context(String);

impl Context {
    pub(crate) fn new(id: &str, what: &str, side: &str, input: &[u8]) -> Self {
        let start = input[..input.len().min(60)].escape_ascii();
        let len = input.len();
        Self(format!("{id} {what}: {len} bytes to the {side}: {start}"))
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.0);
        }
    }
}
