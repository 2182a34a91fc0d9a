//! Exhaustive tests of small domains: first octets, close codes, short texts, offers.
//!
//! Where a complete run takes minutes, a sample runs by default. This runs everything:
//!
//! ```sh
//! cargo test --release -p bowline-proto --all-features --test exhaustive -- --include-ignored
//! ```

use bowline_proto::{
    CloseCode, CloseFrame, Config, Connection, ConnectionError, Event, Kind, Message, Negotiated,
    ProtocolError, Role, State,
    deflate::{Agreed, Deflate, Window},
    handshake::{HttpVersion, Origins, respond},
};
use testing::{
    ends::{
        BOTH, End, config,
        deflate::{USUAL, connection},
        entropy, other, payload,
    },
    frames::{BINARY, CONTINUATION, FIN, Frame, RSV1, TEXT},
    polls::Polls,
};

// ---- The first two octets (RFC 7692 §6; without compression they are in `rfc6455.rs`) -----------

/// The frames that came before.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Before {
    Nothing,
    /// The first frame of a message, compressed or not, without payload.
    Begun(Kind, bool),
}

#[derive(Debug, PartialEq)]
enum Verdict {
    Fail,
    Wait,
    Event(Event),
}

/// The verdict of the RFCs on these two octets, after compression was agreed on.
fn verdict(role: Role, before: Before, first: u8, second: u8) -> Verdict {
    let (fin, opcode, len) = (first & FIN != 0, first & 0xF, second & 0x7F);
    let begun = match before {
        Before::Nothing => None,
        Before::Begun(kind, _) => Some(kind),
    };
    let wrong = [
        // §5.2, RFC 7692 §6.1: RSV1 on the first frame of a data message only.
        first & 0x30 != 0,
        first & 0x40 != 0 && !matches!(opcode, 1 | 2),
        matches!(opcode, 3..=7 | 11..=15),
        // §5.5
        opcode >= 8 && (!fin || len > 125),
        // §5.4
        opcode == 0 && begun.is_none(),
        matches!(opcode, 1 | 2) && begun.is_some(),
        // §5.1
        (second & 0x80 != 0) != (role == Role::Server),
    ];
    if wrong.contains(&true) {
        return Verdict::Fail;
    }
    if role == Role::Server || len > 0 {
        return Verdict::Wait;
    }
    let empty = |kind| match kind {
        Kind::Text => Event::Data(Message::from("")),
        Kind::Binary => Event::Data(Message::from(Vec::new())),
    };
    match (opcode, fin) {
        (8, _) => Verdict::Event(Event::Close(None)),
        (9, _) => Verdict::Event(Event::Ping(payload(""))),
        (10, _) => Verdict::Event(Event::Pong(payload(""))),
        (_, false) => Verdict::Wait,
        (0, true) => Verdict::Event(empty(begun.unwrap())),
        (1, true) => Verdict::Event(empty(Kind::Text)),
        (_, true) => Verdict::Event(empty(Kind::Binary)),
    }
}

#[test]
fn all_first_two_octets_in_every_state_with_compression() {
    let config = config(|_| {});
    let states = [
        Before::Nothing,
        Before::Begun(Kind::Text, false),
        Before::Begun(Kind::Binary, false),
        Before::Begun(Kind::Text, true),
        Before::Begun(Kind::Binary, true),
    ];
    for role in BOTH {
        for before in states {
            let opening = match before {
                Before::Nothing => Vec::new(),
                Before::Begun(kind, deflated) => {
                    let opcode = if kind == Kind::Text { TEXT } else { BINARY };
                    let rsv1 = if deflated { RSV1 } else { 0 };
                    Frame::new(opcode | rsv1, "").from(other(role))
                }
            };
            for two in 0..=u16::MAX {
                let [first, second] = two.to_be_bytes();
                let mut conn = connection(role, USUAL, &config);
                conn.receive(&opening);
                assert_eq!(conn.poll_event(), Ok(None));
                // The octets come one by one and together, in turns.
                let got = judged(&mut conn, &[first, second], 1 + usize::from(two) % 2);
                let expected = verdict(role, before, first, second);
                assert_eq!(got, expected, "{role:?} {before:?} {first:#x} {second:#x}");
            }
        }
    }
}

/// Receives these octets, `step` at a time, and returns the verdict.
fn judged(conn: &mut Connection, octets: &[u8], step: usize) -> Verdict {
    for part in octets.chunks(step) {
        conn.receive(part);
        match conn.poll_event() {
            Ok(None) => {}
            Ok(Some(event)) => return Verdict::Event(event),
            Err(ConnectionError::Protocol(error)) => {
                assert_eq!(error.close_code(), CloseCode::PROTOCOL_ERROR);
                return Verdict::Fail;
            }
            Err(error) => panic!("{error}"),
        }
    }
    Verdict::Wait
}

#[test]
fn all_first_two_octets_behind_a_close_mean_nothing() {
    let config = config(|_| {});
    for role in BOTH {
        let close = Frame::close(1000, "").from(other(role));
        for two in 0..=u16::MAX {
            let mut conn = testing::ends::connection(role, &config);
            conn.receive(&close);
            assert!(matches!(conn.poll_event(), Ok(Some(Event::Close(_)))));
            conn.receive(&two.to_be_bytes());
            assert_eq!(conn.poll_event(), Ok(None));
            assert_eq!(conn.state(), State::Closing);
        }
    }
}

// ---- Close codes (RFC 6455 §7.4) ----------------------------------------------------------------

/// The codes of §7.4.1, §7.4.2 and those that IANA has registered since.
fn may_be_sent(code: u16) -> bool {
    let defined = [
        1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014,
    ];
    // "3000-3999 … libraries, frameworks, and applications", "4000-4999 … private use".
    defined.contains(&code) || (3000..5000).contains(&code)
}

#[test]
fn all_close_codes_that_come_in() {
    for role in BOTH {
        for code in 0..=u16::MAX {
            let mut end = End::new(role);
            let got = end.give(&[Frame::close(code, "why")]);
            if may_be_sent(code) {
                let frame = CloseFrame::new(CloseCode::new(code).unwrap(), "why").unwrap();
                assert_eq!(got, [Ok(Event::Close(Some(frame)))]);
                assert_eq!(
                    end.write(),
                    [Frame::close(code, "why")],
                    "the same goes back"
                );
            } else {
                let error = ProtocolError::CloseCode(code);
                assert_eq!(got, [Err(ConnectionError::Protocol(error))]);
                assert_eq!(end.write()[0].payload[..2], 1002_u16.to_be_bytes());
            }
        }
    }
}

#[test]
fn all_close_codes_that_go_out() {
    for code in 0..=u16::MAX {
        let made = CloseCode::new(code);
        assert_eq!(made.map(CloseCode::get), may_be_sent(code).then_some(code));
        let Some(made) = made else {
            continue;
        };
        for role in BOTH {
            let mut end = End::new(role);
            end.conn.close(Some(made.into()));
            assert_eq!(end.write(), [Frame::close(code, "")]);
        }
    }
}

// ---- Text (RFC 6455 §8.1) -----------------------------------------------------------------------

/// Octets on either side of every boundary in the table of Unicode §3.9.
const BOUNDARIES: [u8; 22] = [
    0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC,
    0xED, 0xEF, 0xF0, 0xF4, 0xF5, 0xFF,
];

/// Checks every text of up to four octets of `octets`, in frames cut at every place. A text that has failed is not
/// made longer: it fails at that octet, whatever follows.
fn texts(octets: &[u8]) {
    let config = config(|_| {});
    let mut live: Vec<Vec<u8>> = vec![Vec::new()];
    for _ in 0..4 {
        let mut next = Vec::new();
        for prefix in &live {
            for octet in octets {
                let text = [&prefix[..], &[*octet]].concat();
                let valid = str::from_utf8(&text);
                for cuts in 0..1_u32 << (text.len() - 1) {
                    assert_text(&config, &text, cuts);
                }
                if valid.is_ok_and(|text| text.len() < 4)
                    || valid.is_err_and(|error| error.error_len().is_none())
                {
                    next.push(text);
                }
            }
        }
        live = next;
    }
}

/// Sends `text`, cut where `cuts` has a bit. It must fail as soon as `core::str` says that it cannot become valid,
/// and at the end if it is incomplete.
fn assert_text(config: &std::sync::Arc<Config>, text: &[u8], cuts: u32) {
    let mut conn = testing::ends::connection(Role::Client, config);
    let mut from = 0;
    for at in 1..=text.len() {
        let last = at == text.len();
        if !last && cuts >> (at - 1) & 1 == 0 {
            continue;
        }
        let opcode = if from == 0 { TEXT } else { CONTINUATION };
        let fin = if last { FIN } else { 0 };
        conn.receive(&Frame::new(fin | opcode, &text[from..at]).encode(None));
        from = at;
        let got = conn.poll_event();
        match str::from_utf8(&text[..at]) {
            Ok(text) if last => {
                let message = Event::Data(Message::from(text.to_owned()));
                assert_eq!(got, Ok(Some(message)), "{cuts:b}");
            }
            Err(error) if last || error.error_len().is_some() => {
                let error = Err(ConnectionError::Protocol(ProtocolError::Utf8));
                assert_eq!(got, error, "{text:x?} {cuts:b}");
                return;
            }
            _ => assert_eq!(got, Ok(None), "{text:x?} {cuts:b}"),
        }
    }
}

#[test]
fn texts_of_up_to_four_octets_on_the_boundaries() {
    texts(&BOUNDARIES);
}

#[test]
#[ignore = "takes minutes: all texts of up to four octets"]
fn all_texts_of_up_to_four_octets() {
    let octets: Vec<u8> = (0..=255).collect();
    texts(&octets);
}

// ---- Offers of compression (RFC 6455 §9.1, RFC 7692 §7) -----------------------------------------

/// A parameter of an offer and its value as they are written.
type Param = (&'static str, Option<&'static str>);

/// One offer as its grammar allows it, and its meaning.
#[derive(Clone, Debug, Default)]
struct Offer {
    name: &'static str,
    params: Vec<Param>,
}

/// The content of a valid offer.
#[derive(Debug, Default, PartialEq)]
struct Terms {
    server_no_takeover: bool,
    client_no_takeover: bool,
    server_bits: Option<u8>,
    client_bits: Option<Option<u8>>,
}

impl Offer {
    /// RFC 6455 §9.1: extension = token *( ";" token [ "=" ( token | quoted-string ) ] ).
    fn write(&self, spaced: bool) -> String {
        let [semicolon, equals] = if spaced { [" ; ", " = "] } else { [";", "="] };
        let mut text = self.name.to_owned();
        for (name, value) in &self.params {
            text += semicolon;
            text += name;
            if let Some(value) = value {
                text += equals;
                text += value;
            }
        }
        text
    }

    /// RFC 7692 §7: returns the meaning, or `None` if a server "MUST decline" the offer.
    fn terms(&self) -> Option<Terms> {
        if self.name != "permessage-deflate" {
            return None;
        }
        let mut terms = Terms::default();
        let mut seen = Vec::new();
        for (name, value) in &self.params {
            // "multiple extension parameters with the same name"
            if seen.contains(name) {
                return None;
            }
            seen.push(*name);
            let value = value.map(|value| value.trim_matches('"'));
            // §7.1.2.1: "a decimal integer value without leading zeroes between 8 to 15".
            let bits = |value: &str| (8..=15).find(|bits: &u8| bits.to_string() == value);
            match (*name, value) {
                ("server_no_context_takeover", None) => terms.server_no_takeover = true,
                ("client_no_context_takeover", None) => terms.client_no_takeover = true,
                ("server_max_window_bits", Some(value)) => terms.server_bits = Some(bits(value)?),
                ("client_max_window_bits", None) => terms.client_bits = Some(None),
                ("client_max_window_bits", Some(value)) => {
                    terms.client_bits = Some(Some(bits(value)?));
                }
                _ => return None,
            }
        }
        Some(terms)
    }
}

/// Returns every offer with each parameter in each of its forms, valid and not.
fn offers() -> Vec<Offer> {
    let flag: [&[Option<&str>]; 3] = [&[], &[None], &[Some("1")]];
    let server: [&[Option<&str>]; 11] = [
        &[],
        &[None],
        &[Some("15")],
        &[Some("12")],
        &[Some("9")],
        &[Some("8")],
        &[Some("\"10\"")],
        &[Some("7")],
        &[Some("16")],
        &[Some("09")],
        &[Some("10"), Some("10")],
    ];
    let client: [&[Option<&str>]; 8] = [
        &[],
        &[None],
        &[Some("15")],
        &[Some("11")],
        &[Some("8")],
        &[Some("016")],
        &[Some("\"9\"")],
        &[None, None],
    ];
    let mut offers = Vec::new();
    for server_flag in flag {
        for client_flag in flag {
            for server in server {
                for client in client {
                    let of = |name, values: &[Option<&'static str>]| -> Vec<Param> {
                        values.iter().map(|value| (name, *value)).collect()
                    };
                    let mut params = [
                        of("server_no_context_takeover", server_flag),
                        of("client_max_window_bits", client),
                        of("server_max_window_bits", server),
                        of("client_no_context_takeover", client_flag),
                    ]
                    .concat();
                    if offers.len() % 2 == 1 {
                        params.reverse();
                    }
                    if offers.len() % 50 == 49 {
                        params.push(("unknown", None));
                    }
                    offers.push(Offer {
                        name: ["permessage-deflate", "permessage-bzip2"]
                            [usize::from(offers.len() % 40 == 39)],
                        params,
                    });
                }
            }
        }
    }
    offers
}

/// Returns the configurations of a server.
fn servers() -> Vec<Deflate> {
    let mut servers = Vec::new();
    for (bits, takeover) in [(15, true), (15, false), (11, true), (9, false)] {
        for (recv_bits, recv_takeover) in [(15, true), (10, false)] {
            let mut deflate = Deflate::default();
            deflate.send = Window { bits, takeover };
            deflate.recv = Window {
                bits: recv_bits,
                takeover: recv_takeover,
            };
            servers.push(deflate);
        }
    }
    servers
}

fn respond_to(deflate: Deflate, fields: &[String]) -> (Option<String>, Negotiated) {
    let mut config = Config::new(entropy);
    config.deflate = Some(deflate);
    let request: [(&str, &[u8]); 5] = [
        ("Host", b"a.test"),
        ("Upgrade", b"websocket"),
        ("Connection", b"Upgrade"),
        ("Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Version", b"13"),
    ];
    let offers = fields
        .iter()
        .map(|offer| ("Sec-WebSocket-Extensions", offer.as_bytes()));
    let (headers, negotiated) = respond(
        HttpVersion::Http11,
        "GET",
        request.into_iter().chain(offers),
        &[],
        Origins::Any,
        &config,
    )
    .unwrap();
    let answer = headers.get("Sec-WebSocket-Extensions");
    (
        answer.map(|answer| str::from_utf8(answer).unwrap().to_owned()),
        negotiated,
    )
}

/// Parses the answer into parameters and values.
fn read(answer: &str) -> Offer {
    let mut parts = answer.split("; ");
    assert_eq!(parts.next(), Some("permessage-deflate"));
    let leak = |text: &str| -> &'static str { text.to_owned().leak() };
    Offer {
        name: "permessage-deflate",
        params: parts
            .map(|part| match part.split_once('=') {
                Some((name, value)) => (leak(name), Some(leak(value))),
                None => (leak(part), None),
            })
            .collect(),
    }
}

/// Checks that RFC 7692 §7.1 allows this answer of this server to this offer, and that the reported agreement
/// matches it.
fn assert_answer(deflate: Deflate, offered: &Terms, answer: &str, agreed: Agreed) {
    let told = read(answer).terms().expect("valid parameters, each once");
    let what = format!("{deflate:?}, {offered:?}: {answer}");
    // §7.1.1.1: accepted "by including" the parameter.
    assert!(
        told.server_no_takeover || !offered.server_no_takeover,
        "{what}"
    );
    let sends = told.server_bits.unwrap_or(15);
    // §7.1.2.1: "the same or smaller value", and not left out.
    if let Some(most) = offered.server_bits {
        assert!(told.server_bits.is_some() && sends <= most, "{what}");
    }
    // §7.1.2.2: only if the offer has it, and at most as much as it says.
    let client = told.client_bits.map(|bits| bits.expect("a value"));
    match offered.client_bits {
        None => assert_eq!(client, None, "{what}"),
        Some(most) => assert!(client <= most.or(Some(15)), "{what}"),
    }
    // The answer binds both ends, and the configuration is respected.
    assert_eq!(agreed.send.takeover, !told.server_no_takeover, "{what}");
    assert_eq!(agreed.send.bits, sends, "{what}");
    assert!(!agreed.send.takeover || deflate.send.takeover, "{what}");
    assert!(agreed.send.bits <= deflate.send.bits, "{what}");
    assert_eq!(
        agreed.recv.takeover,
        !told.client_no_takeover && !offered.client_no_takeover,
        "{what}"
    );
    assert!(!agreed.recv.takeover || deflate.recv.takeover, "{what}");
    let most = client
        .or_else(|| offered.client_bits.flatten())
        .unwrap_or(15);
    assert_eq!(agreed.recv.bits, most, "{what}");
    if offered.client_bits.is_some() {
        assert!(agreed.recv.bits <= deflate.recv.bits.max(8), "{what}");
    }
}

/// Whether our compressor can keep to the offer: it cannot use a window of 8 bits.
fn is_acceptable(terms: &Option<Terms>) -> bool {
    terms
        .as_ref()
        .is_some_and(|terms| terms.server_bits != Some(8))
}

#[test]
fn all_offers_by_grammar() {
    for deflate in servers() {
        for (i, offer) in offers().iter().enumerate() {
            let terms = offer.terms();
            let (answer, negotiated) = respond_to(deflate, &[offer.write(i % 3 == 0)]);
            assert_eq!(answer.is_some(), negotiated.deflate.is_some());
            assert_eq!(answer.is_some(), is_acceptable(&terms), "{offer:?}");
            if let (Some(answer), Some(agreed)) = (answer, negotiated.deflate) {
                assert_answer(deflate, &terms.unwrap(), &answer, agreed);
            }
        }
    }
}

#[test]
fn of_several_offers_the_first_that_can_be_kept() {
    let offers = offers();
    for deflate in servers() {
        for i in 0..offers.len() {
            // In one field, and in two.
            let three = [i, (i * 7 + 1) % offers.len(), (i * 31 + 2) % offers.len()];
            let three = three.map(|at| &offers[at]);
            let [a, b, c] = three.map(|offer| offer.write(i % 2 == 0));
            let fields = match i % 3 {
                0 => vec![format!("{a}, {b},{c}")],
                1 => vec![format!("{a} , {b}"), c],
                _ => vec![a, b, c],
            };
            let (answer, negotiated) = respond_to(deflate, &fields);
            let terms = three.map(Offer::terms).into_iter();
            let first = terms.filter(is_acceptable).flatten().next();
            assert_eq!(answer.is_some(), first.is_some(), "{fields:?}");
            if let (Some(answer), Some(first)) = (answer, first) {
                assert_answer(deflate, &first, &answer, negotiated.deflate.unwrap());
            }
        }
    }
}
