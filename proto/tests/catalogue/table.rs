//! Runs the cases of the table: whole, byte by byte, read and copied, always with the same result.

use bowline_proto::{Closed, ConnectionError, Event, Initiator, Lost, Role, State};
use testing::{
    catalogue::entries::{self, Case, Code, Compression, Entry},
    frames::{CLOSE, Frame, PONG},
    polls::Polls,
};

use crate::{
    driver::{End, config},
    handshakes,
};

pub(crate) fn run(entry: &Entry) {
    for case in &entry.cases {
        match (&entry.id[..2], case.expect.status.is_some()) {
            ("HS", _) | ("PD", true) => handshakes::run_server(&entry.id, case),
            ("CH", _) => handshakes::run_client(&entry.id, case),
            _ => run_frames(&entry.id, case),
        }
    }
}

fn run_frames(id: &str, case: &Case) {
    let what = case.what.as_deref().unwrap_or_default();
    for (role, input) in inputs(case) {
        for feed in FEEDS {
            let _context = Context::new(id, what, role, &input);
            let mut end = start(case, role);
            feed(&mut end, &input);
            check(case, &mut end);
        }
        if let Some(by) = case.expect.by {
            check_by(case, role, &input, by);
        }
    }
}

/// Returns every input of the case, and the role of the end that receives it.
pub(crate) fn inputs(case: &Case) -> impl Iterator<Item = (Role, Vec<u8>)> {
    let server = case.to_server().into_iter();
    let client = case.to_client().into_iter();
    let server = server.map(|input| (Role::Server, input));
    server.chain(client.map(|input| (Role::Client, input)))
}

pub(crate) fn start(case: &Case, role: Role) -> End {
    let options = &case.config;
    let config = config(|config| {
        config.max_frame_size = options.max_frame_size;
        if let Some(max) = options.max_message_size {
            config.max_message_size = max;
        }
        config.deflate = options.deflate.map(Compression::options);
    });
    End::new(role, &config)
}

const FEEDS: [fn(&mut End, &[u8]); 4] = [
    |end, input| end.feed(input),
    |end, input| end.copy(input),
    // Of a long input only the ends come byte by byte, because they have the headers: a read makes room for more
    // than a byte.
    |end, input| {
        let (front, rest) = input.split_at(input.len().min(500));
        let (middle, back) = rest.split_at(rest.len().saturating_sub(500));
        front.iter().for_each(|byte| end.feed(&[*byte]));
        end.feed(middle);
        back.iter().for_each(|byte| end.feed(&[*byte]));
    },
    |end, input| input.iter().for_each(|byte| end.copy(&[*byte])),
];

/// Reports which input failed, if one fails.
pub(crate) struct Context(String);

impl Context {
    pub(crate) fn new(id: &str, what: &str, role: Role, input: &[u8]) -> Self {
        let start = input[..input.len().min(60)].escape_ascii();
        let len = input.len();
        Self(format!("{id} {what}: {len} bytes to the {role:?}: {start}"))
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.0);
        }
    }
}

/// Checks an end after the input was fed. The transport is still there.
fn check(case: &Case, end: &mut End) {
    let expect = &case.expect;
    let error = expect.error.as_deref().filter(|name| *name != "Lost");

    assert_eq!(end.events, events(&expect.events), "what was delivered");
    assert_eq!(
        end.errors.iter().map(name).collect::<Vec<_>>(),
        Vec::from_iter(error.map(str::to_owned)),
        "errors"
    );
    check_sent(case, end);
    if expect.close.is_some() {
        check_latched(end);
        // A server that has seen both Closes discards no more than 64 KiB; a failure is drained for longer.
        let over = end.role == Role::Server && error.is_none();
        let state = if over { State::Closed } else { State::Closing };
        assert_eq!(end.conn.state(), state);
        // A server ends the transport first, and so does an end that fails the connection.
        let first = end.role == Role::Server || error.is_some();
        assert_eq!(end.conn.wants_shutdown(), first);
    }

    let out = end.out.len();
    end.eof();
    assert_eq!(end.conn.state(), State::Closed, "the transport ended");
    assert_eq!(end.out.len(), out, "output after EOF");
    assert_eq!(end.events.len(), expect.events.len(), "events after EOF");
    let closed = end.conn.closed().expect("it is closed");
    if expect.close.is_none() {
        assert_eq!(end.errors, [ConnectionError::Lost(Lost::Eof)]);
        assert!(!closed.clean);
        assert_eq!(closed.code, Closed::ABNORMAL);
        assert_eq!(closed.initiator, Initiator::Peer);
    } else if error.is_some() {
        assert_eq!(end.errors.len(), 1);
        assert!(!closed.clean);
        assert_eq!(closed.code, Closed::ABNORMAL);
        assert_eq!(closed.initiator, Initiator::Local);
    } else {
        assert_eq!(end.errors, []);
        assert!(closed.clean);
        let frame = match end.events.last() {
            Some(Event::Close(frame)) => frame,
            other => panic!("a Close is the last event, not {other:?}"),
        };
        let code = frame
            .as_ref()
            .map_or(Closed::NO_STATUS, |frame| frame.code().get());
        assert_eq!(closed.code, code);
        assert_eq!(closed.initiator, Initiator::Peer);
    }
    assert_eq!(closed.cause, end.errors.first().copied());
}

/// Checks our own frames: the Pongs, then the Close, and nothing else.
fn check_sent(case: &Case, end: &End) {
    let expect = &case.expect;
    let mut sent = end.sent().into_iter();
    for pong in &expect.pongs {
        let frame = sent.next().expect("a Pong");
        assert_eq!(frame, Frame::new(PONG, pong.get()));
    }
    if let Some(code) = &expect.close {
        let frame = sent.next().expect("a Close");
        assert_eq!(frame.first, CLOSE);
        let reason = match (end.errors.first(), expect.events.last()) {
            (Some(error), _) => error.to_string(),
            (None, Some(entries::Event::Close(Some(close)))) => close.reason.clone(),
            _ => String::new(),
        };
        match code {
            Code::Number(code) => {
                assert_eq!(frame.code_and_reason(), Some((*code, reason.as_str())))
            }
            Code::Word(_) => assert!(frame.payload.is_empty()),
        }
    }
    assert_eq!(sent.next(), None, "something else was sent");
}

/// Checks that nothing is delivered, reported or sent any more, whatever comes.
pub(crate) fn check_latched(end: &mut End) {
    let before = (end.events.len(), end.errors.len(), end.out.len());
    let hello = end.wire(0x81, "Hello");
    end.feed(&hello.repeat((1 << 20) / hello.len()));
    for _ in 0..1000 {
        assert_eq!(end.conn.poll_event(), Ok(None));
    }
    end.write();
    let after = (end.events.len(), end.errors.len(), end.out.len());
    assert_eq!(before, after, "events, errors, output after the end");
}

/// Checks that the error is known at byte `by`, and not before.
fn check_by(case: &Case, role: Role, input: &[u8], by: usize) {
    let mut end = start(case, role);
    for byte in &input[..by - 1] {
        end.feed(&[*byte]);
    }
    assert_eq!(end.errors, [], "before byte {by}");
    end.feed(&input[by - 1..by]);
    assert_eq!(end.errors.len(), 1, "at byte {by}");
}

pub(crate) fn events(expected: &[entries::Event]) -> Vec<Event> {
    use bowline_proto::{CloseCode, CloseFrame, ControlPayload};
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

/// Returns the variant's name.
fn name(error: &ConnectionError) -> String {
    let name = match error {
        ConnectionError::Protocol(error) => format!("{error:?}"),
        other => format!("{other:?}"),
    };
    let end = name.find(|c: char| !c.is_alphanumeric());
    name[..end.unwrap_or(name.len())].to_owned()
}
