//! The texts for people. Errors say what happened, whose fault it is and which option would help; logs show nothing
//! of the messages.

use std::{borrow::Borrow, collections::HashSet, error::Error};

use bowline_proto::{
    CloseCode, CloseFrame, Closed, ConnectionError, ControlPayload, ControlTooLong, Deadline,
    EntropyError, Initiator, InvalidUtf8, Lost, Message, Outgoing, ProtocolError, Role, SendError,
    Utf8Bytes,
    handshake::{
        AnswerError, HandshakeError, InvalidHeader, OfferError, RequestError, Response,
        ResponseError,
    },
};
use testing::{
    ends::{config, connection},
    frames::Frame,
    polls::Polls,
};

const PROTOCOL: [ProtocolError; 17] = [
    ProtocolError::ReservedBits,
    ProtocolError::Opcode(0xB),
    ProtocolError::FragmentedControl,
    ProtocolError::ControlTooLong,
    ProtocolError::Unmasked,
    ProtocolError::Masked,
    ProtocolError::Length,
    ProtocolError::Continuation,
    ProtocolError::Interleaved,
    ProtocolError::Utf8,
    ProtocolError::Deflate,
    ProtocolError::CloseBody,
    ProtocolError::CloseCode(1005),
    ProtocolError::FrameTooBig { max: 4711 },
    ProtocolError::MessageTooBig { max: 4711 },
    ProtocolError::StreamTooBig { max: 4711 },
    ProtocolError::TooManyFragments { max: 4711 },
];

const LOST: [Lost; 3] = [Lost::Eof, Lost::Reset, Lost::Failed];

const DEADLINES: [Deadline; 6] = [
    Deadline::Handshake,
    Deadline::Pong,
    Deadline::Close,
    Deadline::Write,
    Deadline::Message,
    Deadline::Idle,
];

const REQUEST: [RequestError; 22] = [
    RequestError::Syntax,
    RequestError::Version,
    RequestError::Http10,
    RequestError::Method,
    RequestError::PageMethod,
    RequestError::Target,
    RequestError::TargetTooLong,
    RequestError::FieldTooLong,
    RequestError::TooManyFields,
    RequestError::HeadTooLarge,
    RequestError::Body,
    RequestError::TransferCoding,
    RequestError::Expectation,
    RequestError::Host,
    RequestError::NoUpgrade,
    RequestError::Key,
    RequestError::Versions,
    RequestError::WebSocketVersion,
    RequestError::Subprotocol,
    RequestError::Extensions,
    RequestError::Origin,
    RequestError::ForeignOrigin,
];

const RESPONSE: [ResponseError; 15] = [
    ResponseError::Syntax,
    ResponseError::LineTooLong,
    ResponseError::TooManyFields,
    ResponseError::HeadTooLarge,
    ResponseError::TooManyInterim,
    ResponseError::Version,
    ResponseError::Upgrade,
    ResponseError::Connection,
    ResponseError::Accept,
    ResponseError::Extensions,
    ResponseError::Extension,
    ResponseError::ExtensionParameters,
    ResponseError::Subprotocols,
    ResponseError::Subprotocol,
    ResponseError::NoSubprotocol,
];

/// Checks that each text is different, and is one line that fits after a colon.
fn say(errors: impl IntoIterator<Item = impl Error>) -> Vec<String> {
    let said: Vec<String> = errors.into_iter().map(|error| error.to_string()).collect();
    for text in &said {
        assert!(text.len() > 6 && !text.contains('\n'), "{text:?}");
        assert!(!text.ends_with('.'), "{text:?}");
        let field = text.ends_with("is written by the handshake itself");
        assert!(field || !text.starts_with(char::is_uppercase), "{text:?}");
    }
    let distinct: HashSet<&String> = said.iter().collect();
    assert_eq!(distinct.len(), said.len(), "{said:?}");
    said
}

#[test]
fn a_fault_of_the_peer_names_the_peer_and_a_limit_its_option_and_value() {
    for (error, text) in PROTOCOL.iter().zip(say(PROTOCOL)) {
        let option = match error {
            ProtocolError::FrameTooBig { .. } => "max_frame_size (4711 bytes)",
            ProtocolError::MessageTooBig { .. } => "max_message_size (4711 bytes)",
            ProtocolError::StreamTooBig { .. } => "max_stream_size (4711 bytes)",
            ProtocolError::TooManyFragments { .. } => "max_fragments (4711 frames)",
            ProtocolError::Unmasked => "the client",
            ProtocolError::Masked => "the server",
            _ => "the peer",
        };
        assert!(text.contains(option), "{text}");
        // The peer gets the same text, so it must fit into a Close.
        assert!(text.len() <= CloseFrame::MAX_REASON, "{text}");
        assert_eq!(ConnectionError::Protocol(*error).to_string(), text);
    }
}

#[test]
fn an_end_and_a_deadline_say_which() {
    for (lost, text) in LOST.iter().zip(say(LOST)) {
        assert!(text.starts_with("the transport"), "{text}");
        assert_eq!(ConnectionError::Lost(*lost).to_string(), text);
    }
    for (deadline, text) in DEADLINES.iter().zip(say(DEADLINES)) {
        let option = match deadline {
            Deadline::Handshake => "handshake_timeout",
            Deadline::Pong => "pong_timeout",
            Deadline::Close => "close_timeout",
            Deadline::Write => "write_timeout",
            Deadline::Message => "message_timeout",
            _ => "idle_timeout",
        };
        assert!(text.contains(option), "{text}");
        assert_eq!(ConnectionError::TimedOut(*deadline).to_string(), text);
    }
    let entropy = EntropyError.to_string();
    assert_eq!(ConnectionError::Entropy.to_string(), entropy);
    assert_eq!(SendError::Entropy.to_string(), entropy);
    assert_eq!(OfferError::Entropy.to_string(), entropy);
}

#[test]
fn what_the_caller_did_wrong_tells_what_to_do() {
    let said = say([
        SendError::Closed,
        SendError::Unfinished,
        SendError::KindChanged,
        SendError::TooBig { max: 4711 },
        SendError::Entropy,
    ]);
    assert!(said[1].contains("send its last chunk first"));
    assert!(said[3].contains("max_send_size (4711 bytes)"));
    let too_long = ControlTooLong { len: 126, max: 125 };
    assert!(said_of(too_long).contains("126") && said_of(too_long).contains("125"));
    say([InvalidHeader::Name, InvalidHeader::Value]);
    say([InvalidUtf8]);
    let said = say([
        OfferError::Target,
        OfferError::Host,
        OfferError::Reserved("Upgrade"),
        OfferError::Subprotocol,
    ]);
    assert!(said[2].contains("Upgrade"));
    let said = say([AnswerError::NotOffered, AnswerError::Reserved("Upgrade")]);
    assert!(said[1].contains("Upgrade"));
}

fn said_of(error: impl Error) -> String {
    say([error]).remove(0)
}

#[test]
fn a_handshake_that_failed_says_on_whose_side() {
    for (error, text) in REQUEST.iter().zip(say(REQUEST)) {
        assert!(text.contains("request"), "{text}");
        assert_eq!(HandshakeError::Request(*error).to_string(), text);
    }
    for (error, text) in RESPONSE.iter().zip(say(RESPONSE)) {
        assert!(text.contains("server"), "{text}");
        assert_eq!(HandshakeError::Response(*error).to_string(), text);
    }
    let refused = HandshakeError::Refused(Box::new(Response::new(418, "")));
    assert!(refused.to_string().contains("418"));
    assert_eq!(
        refused.response().map(|response| response.status),
        Some(418)
    );
    assert_eq!(HandshakeError::TimedOut.response(), None);
    say(LOST
        .into_iter()
        .flat_map(|lost| [HandshakeError::Lost(lost), HandshakeError::Truncated(lost)]));
    assert!(said_of(HandshakeError::TimedOut).contains("handshake_timeout"));
}

#[test]
fn a_bad_request_is_answered_by_the_status_that_is_documented() {
    use RequestError as E;
    for (status, errors) in [
        (
            400,
            &[E::Syntax, E::Http10, E::Target, E::Body, E::Host, E::Key][..],
        ),
        (
            400,
            &[E::Versions, E::Subprotocol, E::Extensions, E::Origin],
        ),
        (403, &[E::ForeignOrigin]),
        (405, &[E::Method, E::PageMethod]),
        (414, &[E::TargetTooLong]),
        (417, &[E::Expectation]),
        (426, &[E::NoUpgrade, E::WebSocketVersion]),
        (431, &[E::FieldTooLong, E::TooManyFields, E::HeadTooLarge]),
        (501, &[E::TransferCoding]),
        (505, &[E::Version]),
    ] {
        for error in errors {
            assert_eq!(error.status(), status, "{error:?}");
            assert_eq!(error.response().status, status, "{error:?}");
            let fields = &error.response().headers;
            assert!(!fields.is_empty() && fields.len() == fields.iter().count());
        }
    }
}

#[test]
fn how_it_ended_is_one_line() {
    let mut end = connection(Role::Client, &config(|_| {}));
    end.handle_eof();
    assert_eq!(end.poll_event(), Err(ConnectionError::Lost(Lost::Eof)));
    let mut closed: Closed = end.closed().unwrap();
    assert_eq!(
        closed.to_string(),
        "closed abnormally with code 1006: the transport ended without a closing handshake"
    );
    closed.clean = true;
    closed.code = 1000;
    closed.reason = "bye".into();
    closed.cause = None;
    closed.initiator = Initiator::Local;
    assert_eq!(closed.to_string(), "closed cleanly with code 1000 (bye)");
    // The peer's text must not begin a line or clear the screen.
    closed.reason = "a\r\nb\u{1b}[2J\u{2028}\u{2029}\u{85} \"naïve\" \\".into();
    assert_eq!(
        closed.to_string(),
        r#"closed cleanly with code 1000 (a\r\nb\u{1b}[2J\u{2028}\u{2029}\u{85} "naïve" \)"#
    );
    assert_eq!(format!("{:?}", CloseCode::NORMAL), "CloseCode(1000)");
}

#[test]
fn debug_output_has_nothing_of_what_was_sent() {
    let secret = "hunter2";
    let mut end = connection(Role::Server, &config(|_| {}));
    end.send(secret).unwrap();
    let frame = Frame::text(secret).from(Role::Client);
    end.receive(&frame[..frame.len() - 1]);
    assert_eq!(end.poll_event(), Ok(None));
    let shown = format!("{end:?}");
    assert!(shown.contains("Open"), "{shown}");
    let (rx, tx) = end.split();
    let halves = [format!("{rx:?}"), format!("{tx:?}")];
    assert!(halves[0].contains("Server") && halves[1].contains("closing: No"));
    for shown in [shown].into_iter().chain(halves) {
        assert!(!shown.contains(secret), "{shown}");
        assert!(!shown.contains("104, 117"), "{shown}");
    }
}

#[test]
fn shared_text_is_used_as_text() {
    let text = Utf8Bytes::from("naïve");
    let set = HashSet::from([text.clone()]);
    assert!(set.contains("naïve"), "its hash is that of a str");
    let (borrowed, referred): (&str, &str) = (text.borrow(), text.as_ref());
    assert_eq!((borrowed, referred), ("naïve", "naïve"));
    assert_eq!(format!("{text} {text:?}"), "naïve \"naïve\"");
    assert!(text == "naïve" && text != "naive" && text == *"naïve" && text != *"naive");
    assert_eq!(String::from(text), "naïve");
}

#[test]
fn what_is_sent_tells_what_it_is() {
    assert!(Message::from("").is_empty() && !Message::from("a").is_empty());
    let bytes: &'static [u8] = b"\xFF";
    assert_eq!(Message::from(bytes), Message::from(vec![0xFF]));
    #[cfg(feature = "deflate")]
    assert_eq!(Outgoing::uncompressed("a").message(), &Message::from("a"));
    let prepared = bowline_proto::Prepared::new("b", &config(|_| {}));
    assert_eq!(Outgoing::from(prepared).message(), &Message::from("b"));
    assert!(ControlPayload::new(vec![0; 126]).is_err());
    assert!(Response::new(404, "").headers.is_empty());
}
