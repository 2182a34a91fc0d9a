//! The application at our end, and the checks of what the table expects of it.

use std::{future::Future, panic, sync::LazyLock, time::Duration};

use ::tokio::{runtime::Runtime, spawn, time::timeout};
use bind::{
    Error,
    proto::{CloseCode, CloseFrame, Closed, Config, ControlPayload, Event, Initiator, Role},
};
use testing::{
    catalogue::entries::{self, Case, Code, Compression, Expect, Options},
    frames::{BINARY, CLOSE, FIN, Frame, PONG, TEXT},
};

use crate::binding::Socket;

/// Runs a test that must not hang. Tasks that wait for each other are spawned, because one may block its
/// thread.
pub(crate) fn run<T: Send + 'static>(test: impl Future<Output = T> + Send + 'static) -> T {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));
    RUNTIME
        .block_on(async { timeout(Duration::from_secs(60), spawn(test)).await })
        .expect("it hangs")
        .unwrap_or_else(|failed| panic::resume_unwind(failed.into_panic()))
}

/// The events and errors that the application saw.
#[derive(Debug)]
pub(crate) struct Report {
    events: Vec<Event>,
    errors: Vec<String>,
    closed: Closed,
}

/// Sends back what it receives, to the end and a few calls beyond it.
pub(crate) async fn echo(mut socket: impl Socket) -> Report {
    let mut events = Vec::new();
    let mut errors = Vec::new();
    loop {
        match socket.recv_event().await {
            Ok(Some(event)) => {
                if let Event::Data(message) = &event {
                    // If this fails, receiving reports why.
                    let _ = socket.send(message.clone()).await;
                }
                events.push(event);
            }
            Ok(None) => break,
            Err(error) => {
                errors.push(name(&error));
                assert!(errors.len() < 10, "errors without end: {error}");
            }
        }
    }
    for _ in 0..1000 {
        assert!(matches!(socket.recv_event().await, Ok(None)));
    }
    let closed = socket.closed().expect("it is closed");
    Report {
        events,
        errors,
        closed,
    }
}

fn name(error: &Error) -> String {
    match error {
        Error::Protocol(error) => variant(error),
        error => variant(error),
    }
}

/// Returns the name of the variant.
pub(crate) fn variant(error: &impl std::fmt::Debug) -> String {
    let name = format!("{error:?}");
    let end = name.find(|c: char| !c.is_alphanumeric());
    name[..end.unwrap_or(name.len())].to_owned()
}

/// Returns the default configuration with `options` applied.
pub(crate) fn config(options: &Options) -> Config {
    let mut config = Config::default();
    config.max_frame_size = options.max_frame_size;
    if let Some(max) = options.max_message_size {
        config.max_message_size = max;
    }
    if let Some(required) = options.require_subprotocol {
        config.require_subprotocol = required;
    }
    config.deflate = options.deflate.map(Compression::options);
    config
}

/// How the peer ends a case that is still open.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ending {
    /// Our end closes.
    Ours,
    /// The peer sends a Close with 1000.
    Close,
    /// The peer ends the transport.
    Eof,
}

impl Ending {
    pub(crate) fn of(expect: &Expect) -> Self {
        match (&expect.close, expect.error.as_deref()) {
            (None, None) => Self::Close,
            (None, Some("Lost")) => Self::Eof,
            _ => Self::Ours,
        }
    }
}

/// Checks what came back, and what the application saw.
pub(crate) fn check(case: &Case, role: Role, answer: &[u8], report: &Report) {
    let expect = &case.expect;
    let ending = Ending::of(expect);
    let mut events = events(&expect.events);
    if ending == Ending::Close {
        events.push(Event::Close(Some(CloseCode::NORMAL.into())));
    }
    assert_eq!(report.events, events, "what was delivered");
    assert_eq!(
        report.errors,
        Vec::from_iter(expect.error.clone()),
        "errors"
    );

    let sent = Frame::read_all_plain(answer, role);
    let all = |first: &[u8]| -> Vec<&Frame> {
        let is_one = |frame: &&Frame| first.contains(&frame.first);
        sent.iter().filter(is_one).collect()
    };
    let echoes = all(&[FIN | TEXT, FIN | BINARY]);
    let pongs = all(&[PONG]);
    let closes = all(&[CLOSE]);
    assert_eq!(echoes.len() + pongs.len() + closes.len(), sent.len());
    let echoes: Vec<_> = echoes.iter().map(|frame| frame.payload.clone()).collect();
    assert_eq!(echoes, data(&events), "echoes");
    let pongs: Vec<_> = pongs.iter().map(|frame| frame.payload.clone()).collect();
    let owed: Vec<_> = expect.pongs.iter().map(entries::Bytes::get).collect();
    assert_eq!(pongs, owed, "Pongs");
    let closes: Vec<_> = closes
        .iter()
        .map(|frame| frame.code_and_reason().map(|(code, _)| code))
        .collect();
    let owed = match (&expect.close, ending) {
        (Some(Code::Number(code)), _) => vec![Some(*code)],
        (Some(Code::Word(_)), _) => vec![None],
        (None, Ending::Close) => vec![Some(1000)],
        (None, _) => vec![],
    };
    assert_eq!(closes, owed, "Closes");
    if let Some(frame) = sent.last().filter(|_| !closes.is_empty()) {
        assert_eq!(frame.first, CLOSE, "something follows the Close");
    }

    let closed = &report.closed;
    let failed = expect.error.is_some();
    assert_eq!(closed.clean, !failed);
    assert_eq!(closed.cause.is_some(), failed);
    assert_eq!(failed, closed.code == Closed::ABNORMAL);
    let ours = failed && ending == Ending::Ours;
    assert_eq!(closed.initiator == Initiator::Local, ours);
}

fn data(events: &[Event]) -> Vec<Vec<u8>> {
    let data = events.iter().filter_map(|event| match event {
        Event::Data(message) => Some(message.as_bytes().to_vec()),
        _ => None,
    });
    data.collect()
}

fn events(expected: &[entries::Event]) -> Vec<Event> {
    let payload = |bytes: &entries::Bytes| ControlPayload::new(bytes.get()).expect("short");
    let event = |event: &entries::Event| match event {
        entries::Event::Text(text) => Event::Data(text.clone().into()),
        entries::Event::Binary(bytes) => Event::Data(bytes.get().into()),
        entries::Event::Ping(bytes) => Event::Ping(payload(bytes)),
        entries::Event::Pong(bytes) => Event::Pong(payload(bytes)),
        entries::Event::Close(close) => Event::Close(close.as_ref().map(|close| {
            let code = CloseCode::new(close.code).expect("a valid code");
            CloseFrame::new(code, close.reason.clone()).expect("short")
        })),
    };
    expected.iter().map(event).collect()
}
