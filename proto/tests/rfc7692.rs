//! permessage-deflate (RFC 7692): one test for each rule, named by its section.

mod support;

use std::sync::Arc;

use bowline_proto::{
    Chunk, Config, Event, Kind, Negotiated, Outgoing, ProtocolError, RecvError, Role, SendError,
    deflate::{Agreed, Deflate},
    handshake::{
        Client, HandshakeError, Headers, HttpVersion, Request, RequestError, ResponseError, Server,
        respond,
    },
};
use bytes::Buf;
use support::{
    BINARY, BOTH, CLOSE, CONTINUATION, End, FIN, Frame, PING, PONG, TEXT, binary, chunk,
    deflate::{self, Inflater, RSV1, USUAL, all, compressed, contents, window},
    entropy, payload, text,
};

fn hex(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|b| *b != b' ').collect();
    let pairs = digits.chunks(2).map(|pair| str::from_utf8(pair).unwrap());
    pairs.map(|p| u8::from_str_radix(p, 16).unwrap()).collect()
}

fn protocol(error: ProtocolError) -> Result<Event, RecvError> {
    Err(RecvError::Protocol(error))
}

/// An end with everything agreed on, at the defaults.
fn usual(role: Role) -> End {
    deflate::end(role, USUAL, |_| {})
}

// ---- Negotiation --------------------------------------------------------------------------------

const FIELDS: [(&str, &[u8]); 5] = [
    ("Host", b"a.test"),
    ("Upgrade", b"websocket"),
    ("Connection", b"Upgrade"),
    ("Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
    ("Sec-WebSocket-Version", b"13"),
];

/// What a server with these options answers to these fields of offers, and what it then uses.
fn answer_to(options: Deflate, offers: &[&str]) -> (Option<String>, Option<Agreed>) {
    let mut config = Config::new(entropy);
    config.deflate = Some(options);
    let offers = offers
        .iter()
        .map(|offer| ("Sec-WebSocket-Extensions", offer.as_bytes()));
    let fields = FIELDS.into_iter().chain(offers);
    let (headers, negotiated) =
        respond(HttpVersion::Http11, "GET", fields, &[], None, &config).unwrap();
    let answer = headers.get("Sec-WebSocket-Extensions");
    let answer = answer.map(|answer| str::from_utf8(answer).unwrap().to_owned());
    (answer, negotiated.deflate)
}

fn answer(offer: &str) -> Option<String> {
    let (answer, agreed) = answer_to(Deflate::default(), &[offer]);
    assert_eq!(answer.is_some(), agreed.is_some());
    answer
}

/// What a client with these options offers, and what it makes of this answer.
fn offer_and(
    options: Option<Deflate>,
    answer: &str,
) -> (Option<String>, Result<Option<Agreed>, HandshakeError>) {
    let mut config = Config::new(|bytes| {
        bytes.copy_from_slice(&b"the sample nonce".repeat(99)[..bytes.len()]);
        Ok(())
    });
    config.deflate = options;
    let request = Request::new("a.test", "/").unwrap();
    let mut client = Client::new(request, &Arc::new(config)).unwrap();
    let mut sent = Vec::new();
    while let Some(bytes) = client.exchange().transmit() {
        sent.extend_from_slice(bytes.chunk());
        bytes.advance(bytes.chunk().len());
        client.exchange().handle_sent(true);
    }
    let sent = String::from_utf8(sent).unwrap();
    let name = "Sec-WebSocket-Extensions: ";
    let mut offers = sent.lines().filter_map(|line| line.strip_prefix(name));
    let offer = offers.next().map(str::to_owned);
    assert_eq!(offers.next(), None);

    let response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n{answer}\r\n"
    );
    let room = client.exchange().recv_buf().unwrap();
    room[..response.len()].copy_from_slice(response.as_bytes());
    client.exchange().handle_input(response.len());
    let opened = client.poll();
    (offer, opened.map(|open| open.unwrap().1.deflate()))
}

fn agree(options: Deflate, answer: &str) -> Result<Option<Agreed>, ResponseError> {
    let field = format!("Sec-WebSocket-Extensions: {answer}\r\n");
    offer_and(Some(options), &field)
        .1
        .map_err(|error| match error {
            HandshakeError::Response(error) => error,
            other => panic!("not the server's fault: {other:?}"),
        })
}

fn with(change: impl FnOnce(&mut Deflate)) -> Deflate {
    let mut options = Deflate::default();
    change(&mut options);
    options
}

#[test]
fn s5_1_it_is_offered_and_answered_only_if_asked_for() {
    let (offer, agreed) = offer_and(None, "");
    assert_eq!((offer, agreed), (None, Ok(None)));
    let config = Config::new(entropy);
    let offered = ("Sec-WebSocket-Extensions", &b"permessage-deflate"[..]);
    let fields = FIELDS.into_iter().chain([offered]);
    let (headers, negotiated) =
        respond(HttpVersion::Http11, "GET", fields, &[], None, &config).unwrap();
    assert_eq!(headers.get("Sec-WebSocket-Extensions"), None);
    assert_eq!(negotiated, Negotiated::default());
    // Offered and not accepted: the connection opens without.
    let (offer, agreed) = offer_and(Some(Deflate::default()), "");
    assert!(offer.is_some());
    assert_eq!(agreed, Ok(None));
}

#[test]
fn s5_1_the_first_offer_that_can_be_kept_is_answered() {
    let to = |offers: &[&str]| answer_to(Deflate::default(), offers).0;
    let usual = Some("permessage-deflate".to_owned());
    assert_eq!(to(&["x, permessage-deflate"]), usual);
    assert_eq!(to(&["x", "permessage-deflate, y"]), usual);
    assert_eq!(to(&["x; y=1, z"]), None);
    let second = "permessage-deflate; server_max_window_bits=8, \
        permessage-deflate; server_max_window_bits=9, permessage-deflate";
    let nine = Some("permessage-deflate; server_max_window_bits=9".to_owned());
    assert_eq!(to(&[second]), nine);
    assert_eq!(to(&second.split(", ").collect::<Vec<_>>()), nine);
    // The order is the client's, not ours.
    let first = "permessage-deflate; server_no_context_takeover, permessage-deflate";
    let none = Some("permessage-deflate; server_no_context_takeover".to_owned());
    assert_eq!(to(&[first]), none);
}

#[test]
fn s5_1_a_server_and_a_hosted_upgrade_answer_the_same() {
    let mut config = Config::new(entropy);
    config.deflate = Some(Deflate::low_memory());
    let config = Arc::new(config);
    let mut server = Server::new(&config);
    let mut request = String::from("GET / HTTP/1.1\r\n");
    for (name, value) in FIELDS {
        request += &format!("{name}: {}\r\n", str::from_utf8(value).unwrap());
    }
    request += "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";
    let room = server.exchange().recv_buf().unwrap();
    room[..request.len()].copy_from_slice(request.as_bytes());
    server.exchange().handle_input(request.len());
    let incoming = server.poll().unwrap().unwrap();
    let mut conn = incoming.accept(None, Headers::new()).unwrap();
    let sent = conn.transmit().unwrap().chunk().to_vec();
    let sent = String::from_utf8(sent).unwrap();
    let expected = "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
        server_max_window_bits=12";
    assert!(sent.contains(&format!("\r\nSec-WebSocket-Extensions: {expected}\r\n")));
    let offer = "permessage-deflate; client_max_window_bits";
    let (answer, agreed) = answer_to(Deflate::low_memory(), &[offer]);
    assert_eq!(answer.as_deref(), Some(expected));
    assert_eq!(conn.deflate(), agreed);
}

#[test]
fn s7_the_clients_offers() {
    let offer = |options| offer_and(Some(options), "").0.unwrap();
    let usual = "permessage-deflate; client_max_window_bits";
    assert_eq!(offer(Deflate::default()), usual);
    assert_eq!(
        offer(Deflate::low_memory()),
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
        client_max_window_bits=12"
    );
    assert_eq!(
        offer(with(|options| options.recv = window(10, true))),
        "permessage-deflate; server_max_window_bits=10; client_max_window_bits"
    );
    assert_eq!(
        offer(with(|options| options.recv.takeover = false)),
        "permessage-deflate; server_no_context_takeover; client_max_window_bits"
    );
    assert_eq!(
        offer(with(|options| options.send = window(9, false))),
        "permessage-deflate; client_no_context_takeover; client_max_window_bits=9"
    );
    // There is nothing below 9 or above 15.
    let least = with(|options| (options.send.bits, options.recv.bits) = (0, 8));
    assert_eq!(
        offer(least),
        "permessage-deflate; server_max_window_bits=9; client_max_window_bits=9"
    );
    let most = with(|options| (options.send.bits, options.recv.bits) = (16, 255));
    assert_eq!(offer(most), usual);
}

#[test]
fn s7_a_server_declines_parameters_that_are_not_valid() {
    for params in [
        "x",
        "x=1",
        "Server_no_context_takeover",
        "server_no_context_takeover=1",
        "server_no_context_takeover=true",
        "client_no_context_takeover=0",
        "server_no_context_takeover; server_no_context_takeover",
        "client_no_context_takeover; client_no_context_takeover",
        "server_max_window_bits",
        "server_max_window_bits=7",
        "server_max_window_bits=16",
        "server_max_window_bits=08",
        "server_max_window_bits=015",
        "server_max_window_bits=+9",
        "server_max_window_bits=-9",
        "server_max_window_bits=1",
        "server_max_window_bits=100",
        "server_max_window_bits=266",
        "server_max_window_bits=9x",
        "server_max_window_bits=0x9",
        "server_max_window_bits=10; server_max_window_bits=10",
        "client_max_window_bits=7",
        "client_max_window_bits=16",
        "client_max_window_bits=08",
        "client_max_window_bits; client_max_window_bits",
        "client_max_window_bits; client_max_window_bits=10",
    ] {
        let bad = format!("permessage-deflate; {params}");
        assert_eq!(answer(&bad), None, "{params}");
        // The next one is tried.
        let next = answer(&format!("{bad}, permessage-deflate"));
        assert_eq!(next.as_deref(), Some("permessage-deflate"), "{params}");
    }
    // Not even a name with a case.
    assert_eq!(answer("Permessage-Deflate"), None);
    // What is no list of extensions is no request.
    let mut config = Config::new(entropy);
    config.deflate = Some(Deflate::default());
    let malformed = "permessage-deflate; server_max_window_bits=\" 10\"";
    let offered = ("Sec-WebSocket-Extensions", malformed.as_bytes());
    let responded = respond(
        HttpVersion::Http11,
        "GET",
        FIELDS.into_iter().chain([offered]),
        &[],
        None,
        &config,
    );
    assert_eq!(responded, Err(RequestError::Extensions));
}

#[test]
fn s7_a_client_fails_on_parameters_that_are_not_valid() {
    for params in [
        "x",
        "server_no_context_takeover=1",
        "client_no_context_takeover=1",
        "server_no_context_takeover; server_no_context_takeover",
        "client_no_context_takeover; client_no_context_takeover",
        "server_max_window_bits",
        "server_max_window_bits=7",
        "server_max_window_bits=16",
        "server_max_window_bits=08",
        "server_max_window_bits=10; server_max_window_bits=10",
        // In an answer it has a value.
        "client_max_window_bits",
        "client_max_window_bits=7",
        "client_max_window_bits=16",
        "client_max_window_bits=10; client_max_window_bits=10",
    ] {
        let answer = format!("permessage-deflate; {params}");
        let agreed = agree(Deflate::default(), &answer);
        assert_eq!(agreed, Err(ResponseError::ExtensionParameters), "{params}");
    }
}

#[test]
fn s7_a_client_fails_on_an_answer_to_what_it_did_not_offer() {
    for answer in [
        "x",
        "x-webkit-deflate-frame",
        "permessage-deflate, permessage-deflate",
        "permessage-deflate, x",
    ] {
        let agreed = agree(Deflate::default(), answer);
        assert_eq!(agreed, Err(ResponseError::Extension), "{answer}");
    }
    for answer in ["permessage-deflate;;", "", ","] {
        let agreed = agree(Deflate::default(), answer);
        assert_eq!(agreed, Err(ResponseError::Extensions), "{answer}");
    }
    // RFC 6455 §11.3.2: not more than one field, whatever is in it.
    let field = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
    let (_, agreed) = offer_and(Some(Deflate::default()), &field.repeat(2));
    assert_eq!(agreed, Err(ResponseError::Extensions.into()));
    let (_, agreed) = offer_and(None, field);
    assert_eq!(agreed, Err(ResponseError::Extension.into()));
}

#[test]
fn s7_1_1_1_server_no_context_takeover() {
    let server = |options, offer: &str| answer_to(options, &[offer]);
    // Offered, it is included.
    let (answer, agreed) = server(
        Deflate::default(),
        "permessage-deflate; server_no_context_takeover",
    );
    let included = "permessage-deflate; server_no_context_takeover";
    assert_eq!(answer.as_deref(), Some(included));
    assert_eq!(agreed.unwrap().send, window(15, false));
    assert_eq!(agreed.unwrap().recv, window(15, true));
    // "A server MAY include" it even if it was not.
    let own = with(|options| options.send.takeover = false);
    let (answer, agreed) = server(own, "permessage-deflate");
    assert_eq!(answer.as_deref(), Some(included));
    assert_eq!(agreed.unwrap().send, window(15, false));

    // A client takes it unasked, and fails without it if it asked.
    let agreed = agree(Deflate::default(), included).unwrap().unwrap();
    assert_eq!((agreed.recv, agreed.send), (window(15, false), USUAL.send));
    let asked = with(|options| options.recv.takeover = false);
    let agreed = agree(asked, included).unwrap().unwrap();
    assert_eq!(agreed.recv, window(15, false));
    let agreed = agree(asked, "permessage-deflate");
    assert_eq!(agreed, Err(ResponseError::ExtensionParameters));
}

#[test]
fn s7_1_1_2_client_no_context_takeover() {
    let included = "permessage-deflate; client_no_context_takeover";
    // A hint is answered, so that the server needs no window either.
    let (answer, agreed) = answer_to(Deflate::default(), &[included]);
    assert_eq!(answer.as_deref(), Some(included));
    assert_eq!(agreed.unwrap().recv, window(15, false));
    assert_eq!(agreed.unwrap().send, window(15, true));
    let own = with(|options| options.recv.takeover = false);
    let (answer, agreed) = answer_to(own, &["permessage-deflate"]);
    assert_eq!(answer.as_deref(), Some(included));
    assert_eq!(agreed.unwrap().recv, window(15, false));

    // "A client MUST support" it in an answer.
    let agreed = agree(Deflate::default(), included).unwrap().unwrap();
    assert_eq!((agreed.send, agreed.recv), (window(15, false), USUAL.recv));
    // Its own hint holds without an answer.
    let own = with(|options| options.send.takeover = false);
    let agreed = agree(own, "permessage-deflate").unwrap().unwrap();
    assert_eq!(agreed.send, window(15, false));
}

#[test]
fn s7_1_2_1_server_max_window_bits() {
    for bits in 9..=15 {
        for value in [
            format!("{bits}"),
            format!("\"{bits}\""),
            format!("\"\\{bits}\""),
        ] {
            let offer = format!("permessage-deflate; server_max_window_bits={value}");
            let (answer, agreed) = answer_to(Deflate::default(), &[&offer]);
            let expected = format!("permessage-deflate; server_max_window_bits={bits}");
            assert_eq!(answer, Some(expected));
            assert_eq!(agreed.unwrap().send, window(bits, true));
            // "with the same or smaller value as the offer".
            let own = with(|options| options.send.bits = 11);
            let (answer, agreed) = answer_to(own, &[&offer]);
            let least = bits.min(11);
            let expected = format!("permessage-deflate; server_max_window_bits={least}");
            assert_eq!(answer, Some(expected));
            assert_eq!(agreed.unwrap().send, window(least, true));
        }
    }
    // zlib has no such window: we decline.
    assert_eq!(answer("permessage-deflate; server_max_window_bits=8"), None);
    // "A server MAY include" it unasked.
    let own = with(|options| options.send.bits = 10);
    let (answer, _) = answer_to(own, &["permessage-deflate"]);
    let expected = "permessage-deflate; server_max_window_bits=10";
    assert_eq!(answer.as_deref(), Some(expected));

    // A client reads any window, and fails if it is not what it asked for.
    for bits in 8..=15 {
        let answer = format!("permessage-deflate; server_max_window_bits={bits}");
        let agreed = agree(Deflate::default(), &answer).unwrap().unwrap();
        assert_eq!(agreed.recv, window(bits, true));
        let asked = with(|options| options.recv.bits = 12);
        let agreed = agree(asked, &answer);
        assert_eq!(agreed.is_ok(), bits <= 12, "{bits}");
    }
    let asked = with(|options| options.recv.bits = 12);
    let agreed = agree(asked, "permessage-deflate");
    assert_eq!(agreed, Err(ResponseError::ExtensionParameters));
}

#[test]
fn s7_1_2_2_client_max_window_bits() {
    let small = with(|options| options.recv.bits = 10);
    let to = |options, params: &str| {
        let (answer, agreed) = answer_to(options, &[&format!("permessage-deflate{params}")]);
        let answer = answer.unwrap();
        let answer = answer.strip_prefix("permessage-deflate").unwrap();
        (answer.to_owned(), agreed.unwrap().recv.bits)
    };
    let told = |bits| (format!("; client_max_window_bits={bits}"), bits);
    let untold = |bits| (String::new(), bits);
    // "MUST NOT include" it if the offer has none: then any window may come.
    assert_eq!(to(small, ""), untold(15));
    assert_eq!(to(small, "; client_max_window_bits"), told(10));
    assert_eq!(to(small, "; client_max_window_bits=15"), told(10));
    assert_eq!(to(small, "; client_max_window_bits=10"), untold(10));
    assert_eq!(to(small, "; client_max_window_bits=8"), untold(8));
    let usual = Deflate::default();
    assert_eq!(to(usual, "; client_max_window_bits"), untold(15));
    assert_eq!(to(usual, "; client_max_window_bits=9"), untold(9));

    // A client keeps to it, and to its own limit.
    for bits in 8..=15 {
        let answer = format!("permessage-deflate; client_max_window_bits={bits}");
        let agreed = agree(Deflate::default(), &answer).unwrap().unwrap();
        assert_eq!(agreed.send, window(bits, true));
        let own = with(|options| options.send.bits = 12);
        let agreed = agree(own, &answer);
        if bits <= 12 {
            assert_eq!(agreed.unwrap().unwrap().send, window(bits, true));
        } else {
            assert_eq!(agreed, Err(ResponseError::ExtensionParameters));
        }
        let agreed = agree(own, "permessage-deflate").unwrap().unwrap();
        assert_eq!(agreed.send, window(12, true));
    }
}

#[test]
fn s7_1_2_2_a_client_that_may_use_8_bits_only_sends_plain_messages() {
    let agreed = Agreed {
        send: window(8, true),
        recv: window(15, true),
    };
    let mut end = deflate::end(Role::Client, agreed, |_| {});
    let content = "a".repeat(10_000);
    end.conn.send(content.clone()).unwrap();
    assert_eq!(end.write(), [Frame::text(&content)]);
    let mut peer = deflate::Deflater::new(6, true);
    let events = end.give(&[compressed(TEXT, peer.message(content.as_bytes()))]);
    assert_eq!(events, [Ok(text(content))]);
}

// ---- Frames -------------------------------------------------------------------------------------

#[test]
fn s6_rsv1_without_an_agreement_fails_the_connection() {
    for role in BOTH {
        let mut end = End::with(role, |config| config.deflate = Some(Deflate::default()));
        let events = end.give(&[compressed(TEXT, hex("f248cdc9c90700"))]);
        assert_eq!(events, [protocol(ProtocolError::ReservedBits)]);
    }
}

#[test]
fn s6_rsv1_on_control_frames_and_later_fragments_fails_the_connection() {
    for role in BOTH {
        for first in [PING, PONG, CLOSE] {
            for begun in [false, true] {
                let mut end = usual(role);
                if begun {
                    end.give(&[Frame::new(RSV1 | TEXT, hex("f248"))]);
                }
                let events = end.give(&[Frame::new(first | RSV1, "")]);
                assert_eq!(events, [protocol(ProtocolError::ReservedBits)]);
                assert_eq!(end.write(), [Frame::close(1002, RESERVED)]);
            }
        }
        for begins in [TEXT, RSV1 | TEXT] {
            for fin in [0, FIN] {
                let mut end = usual(role);
                let rest = Frame::new(fin | RSV1 | CONTINUATION, "");
                let events = end.give(&[Frame::new(begins, ""), rest]);
                assert_eq!(events, [protocol(ProtocolError::ReservedBits)]);
            }
        }
        // RSV2 and RSV3 have no meaning.
        for bits in [0x10, 0x20, 0x50, 0x60, 0x70] {
            let mut end = usual(role);
            let events = end.give(&[Frame::new(FIN | bits | TEXT, "")]);
            assert_eq!(events, [protocol(ProtocolError::ReservedBits)]);
        }
    }
}

const RESERVED: &str = "the peer set a reserved bit without an extension that defines it";

#[test]
fn s6_1_rsv1_is_set_on_the_first_frame_only() {
    for role in BOTH {
        let mut end = deflate::end(role, USUAL, |config| config.send_frame_size = Some(10));
        let content = contents(6, 5000).remove(4);
        end.conn.send(content.clone()).unwrap();
        end.conn.ping(payload("?")).unwrap();
        let frames = end.write();
        assert!(frames.len() > 5);
        let (ping, frames) = frames.split_last().unwrap();
        assert_eq!(ping, &Frame::new(PING, "?"));
        assert!(frames.iter().all(|frame| frame.payload.len() <= 10));
        assert_eq!(frames[0].first, RSV1 | BINARY);
        assert_eq!(Inflater::new(USUAL.send).frames(frames), content);
    }
}

#[test]
fn s6_1_control_frames_are_not_compressed() {
    for role in BOTH {
        let mut end = usual(role);
        end.conn.ping(payload([7; 125])).unwrap();
        end.conn.pong(payload([7; 125])).unwrap();
        end.conn
            .close(Some(support::close_frame(1000, &"a".repeat(123))));
        let expected = [
            Frame::new(PING, [7; 125]),
            Frame::new(PONG, [7; 125]),
            Frame::close(1000, &"a".repeat(123)),
        ];
        assert_eq!(end.write(), expected);
    }
}

#[test]
fn s6_1_plain_messages_may_come_between() {
    for role in BOTH {
        let mut end = usual(role);
        let hello = compressed(TEXT, hex("f248cdc9c90700"));
        let again = compressed(TEXT, hex("f200110000"));
        let plain = Frame::text("Hello");
        let events = end.give(&[hello, plain.clone(), again.clone(), plain, again]);
        assert_eq!(events, vec![Ok(text("Hello")); 5]);
    }
}

#[test]
fn s6_2_fragments_are_put_together_before_they_are_inflated() {
    for role in BOTH {
        let content = hex("f248cdc9c90700");
        for cut in 0..=content.len() {
            let mut end = usual(role);
            let (one, two) = content.split_at(cut);
            let events = end.give(&[
                Frame::new(RSV1 | TEXT, one),
                Frame::new(PING, "?"),
                Frame::new(FIN | CONTINUATION, two),
            ]);
            assert_eq!(events, [Ok(Event::Ping(payload("?"))), Ok(text("Hello"))]);
            assert_eq!(end.write(), [Frame::new(PONG, "?")]);
        }
        // Every octet in a frame of its own, and empty ones between.
        let mut end = usual(role);
        let mut frames = vec![Frame::new(RSV1 | TEXT, "")];
        for octet in content {
            frames.push(Frame::new(CONTINUATION, [octet]));
            frames.push(Frame::new(CONTINUATION, ""));
        }
        frames.push(Frame::new(FIN | CONTINUATION, ""));
        assert_eq!(end.give(&frames), [Ok(text("Hello"))]);
    }
}

// ---- Compression --------------------------------------------------------------------------------

#[test]
fn s7_2_1_the_tail_is_removed() {
    for role in BOTH {
        let mut end = usual(role);
        end.conn.send("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa").unwrap();
        let frames = end.write();
        assert_eq!(frames.len(), 1);
        assert_eq!(frames[0].first, FIN | RSV1 | TEXT);
        assert!(!frames[0].payload.ends_with(&[0, 0, 0xff, 0xff]));
        let content = Inflater::new(USUAL.send).frames(&frames);
        assert_eq!(content, [b'a'; 32]);
    }
}

#[test]
fn s7_2_1_without_context_takeover_each_message_stands_alone() {
    for role in BOTH {
        for takeover in [false, true] {
            let agreed = Agreed {
                send: window(15, takeover),
                recv: window(15, takeover),
            };
            let mut end = deflate::end(role, agreed, |_| {});
            // Random, so that only the message before can help.
            let content = contents(1, 100_000).remove(0)[..500].to_vec();
            let content = content.repeat(2);
            end.conn.send(content.clone()).unwrap();
            let first = end.write();
            end.conn.send(content.clone()).unwrap();
            let second = end.write();
            assert_eq!(first == second, !takeover);
            assert_eq!(second[0].payload.len() < 100, takeover);
            let mut peer = Inflater::new(agreed.send);
            assert_eq!(peer.frames(&first), content);
            assert_eq!(peer.frames(&second), content);
        }
    }
}

#[test]
fn s7_2_2_corrupt_data_fails_the_connection_with_1007() {
    let reason = "the peer sent compressed data that is not valid DEFLATE";
    for (what, data) in [
        ("block type 3", "06"),
        (
            "lengths of a stored block that differ",
            "000500fbff48656c6c6f00",
        ),
        ("a distance before the beginning", "f200110000"),
        ("cut inside of a block", "f248cdc9c9"),
        ("cut inside of a symbol", "f2"),
        ("cut before its last block", "f248cdc9c907"),
        ("cut inside of a stored block", "000500faff4865"),
        (
            "a stored block that lacks as much as the tail has",
            "000500faff48",
        ),
        ("the same, the last of its stream", "010500faff48"),
        ("cut inside of the lengths", "000500"),
        ("a dynamic block without codes", "04c0"),
        ("half a tail", "f248cdc9c90700 0000"),
        ("a tail and a half", "f248cdc9c90700 0000ffff 0000"),
        ("behind the last block", "f348cdc9c90700 06"),
    ] {
        for role in BOTH {
            for fragment in [1, 3, 100] {
                let mut end = usual(role);
                let data = hex(data);
                let pieces: Vec<_> = data.chunks(fragment).collect();
                let frames = pieces.iter().enumerate().map(|(i, piece)| {
                    let first = if i == 0 { RSV1 | BINARY } else { CONTINUATION };
                    let fin = if i + 1 == pieces.len() { FIN } else { 0 };
                    Frame::new(fin | first, piece)
                });
                let events = end.give(&frames.collect::<Vec<_>>());
                assert_eq!(events, [protocol(ProtocolError::Deflate)], "{what}");
                assert_eq!(end.write(), [Frame::close(1007, reason)]);
            }
        }
    }
}

#[test]
fn s7_2_2_text_is_checked_when_it_is_inflated() {
    for role in BOTH {
        let mut peer = deflate::Deflater::new(6, false);
        for (content, valid) in [
            ("κόσμε".as_bytes().to_vec(), true),
            (b"\xce\xba\xe1\xbd\xb9\xed\xa0\x80".to_vec(), false),
            ([vec![b'a'; 100_000], b"\xc3".to_vec()].concat(), false),
            (
                [vec![b'a'; 65_535], "é".into(), vec![b'b'; 65_535]].concat(),
                true,
            ),
        ] {
            let mut end = usual(role);
            let frame = compressed(TEXT, peer.message(&content));
            let expected = match String::from_utf8(content) {
                Ok(content) => Ok(text(content)),
                Err(_) => protocol(ProtocolError::Utf8),
            };
            assert_eq!(expected.is_ok(), valid);
            assert_eq!(end.give(&[frame]), [expected]);
        }
        // At the first octet that cannot be right: a stored block shows it at once.
        let mut end = usual(role);
        let bytes = Frame::header(RSV1 | TEXT, 100, (role == Role::Server).then_some([0; 4]));
        end.receive(&bytes);
        end.receive(&hex("00 0500 faff 6162"));
        assert_eq!(end.events(), []);
        end.receive(&[0xff]);
        assert_eq!(end.events(), [protocol(ProtocolError::Utf8)]);
    }
}

// ---- The examples of §7.2.3 ---------------------------------------------------------------------

#[test]
fn s7_2_3_1_a_message_in_one_block() {
    for role in BOTH {
        let mut end = usual(role);
        let events = end.give(&[compressed(TEXT, hex("f248cdc9c90700"))]);
        assert_eq!(events, [Ok(text("Hello"))]);
        let events = end.give(&[
            Frame::new(RSV1 | TEXT, hex("f248cd")),
            Frame::new(FIN | CONTINUATION, hex("c9c90700")),
        ]);
        assert_eq!(events, [Ok(text("Hello"))]);
    }
}

#[test]
fn s7_2_3_2_a_message_that_refers_to_the_one_before() {
    for role in BOTH {
        let hello = compressed(TEXT, hex("f248cdc9c90700"));
        let again = compressed(TEXT, hex("f200110000"));
        let mut end = usual(role);
        let events = end.give(&[hello.clone(), again.clone()]);
        assert_eq!(events, [Ok(text("Hello")), Ok(text("Hello"))]);
        // Without takeover there is nothing to refer to.
        let agreed = Agreed {
            recv: window(15, false),
            ..USUAL
        };
        let mut end = deflate::end(role, agreed, |_| {});
        let events = end.give(&[hello, again]);
        let expected = [Ok(text("Hello")), protocol(ProtocolError::Deflate)];
        assert_eq!(events, expected);
    }
}

#[test]
fn s7_2_3_3_a_block_without_compression() {
    for role in BOTH {
        let mut end = usual(role);
        let events = end.give(&[compressed(TEXT, hex("000500faff48656c6c6f00"))]);
        assert_eq!(events, [Ok(text("Hello"))]);
    }
}

#[test]
fn s7_2_3_4_a_block_with_bfinal() {
    for role in BOTH {
        let mut end = usual(role);
        let last = compressed(TEXT, hex("f348cdc9c9070000"));
        // Without the octet behind it, too; and with more blocks, which begin a stream of their own.
        let bare = compressed(TEXT, hex("f348cdc9c90700"));
        let more = compressed(TEXT, hex("f348cdc9c90700 f248cdc9c90700"));
        let stored = compressed(TEXT, hex("010500faff48656c6c6f"));
        let events = end.give(&[last, bare, stored]);
        assert_eq!(events, vec![Ok(text("Hello")); 3]);
        assert_eq!(end.give(&[more]), [Ok(text("HelloHello"))]);
        // A stream that follows refers to its own past.
        let again = compressed(TEXT, hex("f200110000"));
        assert_eq!(end.give(&[again]), [Ok(text("Hello"))]);
        // Data that looks like a tail is none.
        let data = compressed(BINARY, hex("010400fbff 0000ffff"));
        assert_eq!(end.give(&[data]), [Ok(binary([0, 0, 0xff, 0xff]))]);
    }
}

/// §7.2.1: the block whose last four octets are taken off may have BFINAL itself.
#[test]
fn s7_2_3_4_bfinal_in_the_block_that_lost_its_tail() {
    for role in BOTH {
        for (data, content) in [("01", ""), ("000500faff48656c6c6f 01", "Hello")] {
            let mut end = usual(role);
            let first = end.give(&[compressed(TEXT, hex(data))]);
            assert_eq!(first, [Ok(text(content))]);
            let hello = compressed(TEXT, hex("f248cdc9c90700"));
            let events = end.give(&[hello.clone(), hello]);
            assert_eq!(events, vec![Ok(text("Hello")); 2], "behind {data}");
        }
    }
}

#[test]
fn s7_2_3_5_a_message_in_two_blocks() {
    for role in BOTH {
        let mut end = usual(role);
        let events = end.give(&[compressed(TEXT, hex("f248050000 00ffff cac9c90700"))]);
        assert_eq!(events, [Ok(text("Hello"))]);
    }
}

#[test]
fn s7_2_3_6_empty_messages() {
    for role in BOTH {
        let mut end = usual(role);
        // One empty block of any type, with BFINAL or not, or nothing at all.
        for data in ["00", "0200", "0300", "", "00 0000ffff", "010000ffff"] {
            let hello = compressed(TEXT, hex("f248cdc9c90700"));
            let events = end.give(&[compressed(TEXT, hex(data)), hello]);
            assert_eq!(events, [Ok(text("")), Ok(text("Hello"))], "{data}");
        }
        // We send one if we streamed nothing, and a plain one otherwise.
        for fin in [false, true] {
            end.conn.send_chunk(chunk(Kind::Text, "", fin)).unwrap();
        }
        let frames = end.write();
        assert_eq!(frames[0], Frame::new(RSV1 | TEXT, ""));
        assert_eq!(frames[1], Frame::new(FIN | CONTINUATION, [0]));
        assert_eq!(Inflater::new(USUAL.send).frames(&frames), b"");
        end.conn.send("").unwrap();
        assert_eq!(end.write(), [Frame::text("")]);
    }
}

#[test]
fn s7_2_3_6_a_tail_that_was_left_on() {
    for role in BOTH {
        let mut end = usual(role);
        let whole = hex("f248cdc9c90700 0000ffff");
        for cut in 0..=whole.len() {
            let (one, two) = whole.split_at(cut);
            let events = end.give(&[
                Frame::new(RSV1 | TEXT, one),
                Frame::new(FIN | CONTINUATION, two),
            ]);
            assert_eq!(events, [Ok(text("Hello"))], "cut at {cut}");
            // The window is where it was.
            let events = end.give(&[compressed(TEXT, hex("f200110000"))]);
            assert_eq!(events, [Ok(text("Hello"))], "cut at {cut}");
        }
    }
}

#[test]
fn s8_a_secret_is_sent_plain_and_no_later_message_refers_to_it() {
    for role in BOTH {
        let mut end = usual(role);
        let secret = "correct horse battery staple ".repeat(4);
        end.conn.send("once upon a time, once upon a time").unwrap();
        let plain = Outgoing::plain(secret.clone());
        end.conn.send(plain).unwrap();
        end.conn.send(secret.clone()).unwrap();
        let frames = end.write();
        assert_eq!(frames[1], Frame::text(&secret));
        // The third is as long as it would be without the second.
        let mut other = usual(role);
        other
            .conn
            .send("once upon a time, once upon a time")
            .unwrap();
        other.conn.send(secret).unwrap();
        assert_eq!(frames[2], other.write()[1]);
        assert_eq!(all().threshold, 0);
    }
}

#[test]
fn s8_a_secret_in_pieces_is_sent_plain_and_no_later_message_refers_to_it() {
    for role in BOTH {
        let secret = "correct horse battery staple ".repeat(4);
        let usual_then = |pieces: &[bool]| {
            let mut end = usual(role);
            end.conn.send("once upon a time, once upon a time").unwrap();
            for (i, plain) in pieces.iter().enumerate() {
                let fin = i + 1 == pieces.len();
                let sent = if *plain {
                    let data = Outgoing::plain(secret.clone());
                    end.conn.send_chunk(Chunk { data, fin })
                } else {
                    end.conn.send_chunk(chunk(Kind::Text, &secret, fin))
                };
                sent.unwrap();
            }
            end.conn.send(secret.clone()).unwrap();
            end.write()
        };
        let alone = usual_then(&[]);
        // The first piece decides.
        for pieces in [&[true][..], &[true, true], &[true, false, true, false]] {
            let frames = usual_then(pieces);
            let (last, first) = frames.split_last().unwrap();
            assert_eq!(first.len(), 1 + pieces.len());
            for (i, frame) in first[1..].iter().enumerate() {
                let opcode = if i == 0 { TEXT } else { CONTINUATION };
                let fin = if i + 1 == pieces.len() { FIN } else { 0 };
                assert_eq!(*frame, Frame::new(fin | opcode, &secret));
            }
            // As long as it would be without them.
            assert_eq!(Some(last), alone.last());
        }
        let after_another = usual_then(&[false, false]);
        let (last, alone) = (after_another.last().unwrap(), alone.last().unwrap());
        assert!(last.payload.len() < alone.payload.len());
    }
}

/// It would be compressed without a word, for a message is that as a whole.
#[test]
fn s8_a_plain_piece_of_a_compressed_message_is_refused() {
    for role in BOTH {
        let mut end = usual(role);
        let mut peer = Inflater::new(USUAL.send);
        let plain = |text: &'static str, fin| Chunk {
            data: Outgoing::plain(text),
            fin,
        };
        end.conn
            .send_chunk(chunk(Kind::Text, "one ", false))
            .unwrap();
        for fin in [false, true] {
            let sent = end.conn.send_chunk(plain("secret", fin));
            assert_eq!(sent, Err(SendError::Compressed));
        }
        end.conn.send_chunk(chunk(Kind::Text, "two", true)).unwrap();
        assert_eq!(peer.messages(&end.write()), [b"one two"]);
        // And where nothing was agreed on, all are.
        let mut end = End::new(role);
        end.conn.send_chunk(chunk(Kind::Text, "a", false)).unwrap();
        end.conn.send_chunk(plain("b", true)).unwrap();
        let expected = [Frame::new(TEXT, "a"), Frame::new(FIN | CONTINUATION, "b")];
        assert_eq!(end.write(), expected);
    }
}
