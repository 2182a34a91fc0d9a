//! Properties: round trips, and results that do not depend on how the octets were cut.

use std::sync::Arc;

use bowline_proto::{
    Config, ConnectionError, Event, Instant, Kind, Message, Role,
    frame::{Header, OpCode},
};
use proptest::{collection::vec, prelude::*, sample::Index};
use testing::{
    ends::{
        End, chunk, close_frame, config,
        node::{Node, WAYS, Way},
        other,
        pair::Side,
        payload,
    },
    frames::{self, BINARY, CLOSE, CONTINUATION, FIN, Frame, PING, PONG, TEXT, wire},
    polls::Polls,
};

fn settings(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Client), Just(Role::Server)]
}

fn way() -> impl Strategy<Value = Way> {
    prop_oneof![Just(Way::Buf), Just(Way::Copy), Just(Way::Loan)]
}

// ---- Headers ------------------------------------------------------------------------------------

/// Any header that may be on the wire.
fn header() -> impl Strategy<Value = Header> {
    let length = prop_oneof![
        0..=130_u64,
        65_530..=65_540_u64,
        (0..=62_u32).prop_map(|bits| (1 << bits) - 1),
        0..1_u64 << 63,
    ];
    let opcode = prop_oneof![
        Just(OpCode::Continuation),
        Just(OpCode::Text),
        Just(OpCode::Binary),
        Just(OpCode::Close),
        Just(OpCode::Ping),
        Just(OpCode::Pong),
    ];
    let mask = any::<Option<[u8; 4]>>();
    (any::<(bool, bool)>(), opcode, mask, length).prop_map(|((fin, rsv1), opcode, mask, len)| {
        let control = opcode.is_control();
        Header {
            fin: fin || control,
            rsv1,
            opcode,
            mask,
            len: if control { len % 126 } else { len },
        }
    })
}

proptest! {
    #![proptest_config(settings(1000))]

    #[test]
    fn a_header_is_read_as_it_was_written(header in header(), behind in vec(any::<u8>(), 0..20)) {
        let mut out = [0; Header::MAX_LEN];
        let len = header.encode(&mut out);
        let first = u8::from(header.fin) << 7 | u8::from(header.rsv1) << 6 | header.opcode as u8;
        prop_assert_eq!(&out[..len], frames::header(first, header.len, header.mask));
        for cut in 0..len {
            prop_assert_eq!(Header::decode(&out[..cut]), Ok(None));
        }
        let bytes = [&out[..len], &behind].concat();
        prop_assert_eq!(Header::decode(&bytes), Ok(Some((header, len))));
    }

    #[test]
    fn octets_that_are_a_header_are_its_only_form(bytes in vec(any::<u8>(), 0..20)) {
        if let Ok(Some((header, len))) = Header::decode(&bytes) {
            let mut out = [0; Header::MAX_LEN];
            prop_assert_eq!(header.encode(&mut out), len);
            prop_assert_eq!(&out[..len], &bytes[..len]);
        }
    }
}

// ---- Messages -----------------------------------------------------------------------------------

fn message() -> impl Strategy<Value = Message> {
    prop_oneof![
        ".{0,200}".prop_map(Message::from),
        vec(any::<u8>(), 0..300).prop_map(Message::from),
        (any::<u8>(), 0..70_000_usize).prop_map(|(octet, len)| Message::from(vec![octet; len])),
    ]
}

/// The actions of an application, and of the transport.
#[derive(Clone, Debug)]
enum Act {
    Send(Message),
    /// A message in pieces of this many characters or octets.
    Stream(Message, usize),
    Ping(u8),
    PeerPings(u8),
    Write(usize, bool),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => message().prop_map(Act::Send),
        1 => (message(), 1..400_usize).prop_map(|(message, size)| Act::Stream(message, size)),
        1 => any::<u8>().prop_map(Act::Ping),
        2 => any::<u8>().prop_map(Act::PeerPings),
        4 => (0..40_000_usize, any::<bool>()).prop_map(|(size, flushed)| Act::Write(size, flushed)),
    ]
}

proptest! {
    #![proptest_config(settings(512))]

    /// In any order of events, the peer gets the messages whole and in order.
    #[test]
    fn messages_arrive_as_they_were_sent(
        role in role(),
        way in way(),
        chunks in any::<bool>(),
        frame_size in prop_oneof![Just(None), (1..5000_usize).prop_map(Some)],
        high_water in 0..100_000_usize,
        segment in 1..20_000_usize,
        acts in vec(act(), 0..20),
    ) {
        let mut end = End::with(role, |config| {
            config.send_frame_size = frame_size;
            config.send_high_water = high_water;
        });
        let mut sent = Vec::new();
        let mut wire = Vec::new();
        let mut pings = 0;
        for act in acts {
            match act {
                Act::Send(message) => {
                    end.conn.send(message.clone()).unwrap();
                    sent.push(message);
                }
                Act::Stream(message, size) => {
                    let whole = message.as_bytes();
                    let mut at = 0;
                    loop {
                        let mut next = (at + size).min(whole.len());
                        while message.as_text().is_some_and(|text| !text.is_char_boundary(next)) {
                            next += 1;
                        }
                        let fin = next == whole.len();
                        let part = chunk(message.kind(), &whole[at..next], fin);
                        end.conn.send_chunk(part).unwrap();
                        at = next;
                        if fin {
                            break;
                        }
                    }
                    sent.push(message);
                }
                Act::Ping(octet) => {
                    end.conn.ping(payload([octet])).unwrap();
                    pings += 1;
                }
                Act::PeerPings(octet) => {
                    end.hear(&[Frame::new(PING, [octet])]);
                    end.events();
                }
                Act::Write(most, flushed) => wire.extend(end.write_some(most, flushed)),
            }
        }
        end.conn.close(Some(close_frame(1000, "done")));
        wire.extend(end.write_some(usize::MAX, true));
        prop_assert!(end.conn.transmit().is_none());

        let mut peer = Node::new(other(role), way, &config(|config| config.max_fragments = u32::MAX));
        peer.chunks = chunks;
        peer.port.link.put(&wire, Instant::EPOCH);
        while peer.read(segment, Instant::EPOCH) {}
        prop_assert_eq!(peer.errors(), []);
        prop_assert!(peer.messages() == sent);
        let events = peer.events();
        let got = events.iter().filter(|event| matches!(event, Ok(Event::Ping(_)))).count();
        prop_assert_eq!(got, pings);
        let done = Ok(Event::Close(Some(close_frame(1000, "done"))));
        prop_assert_eq!(events.last(), Some(&done));
    }
}

// ---- What a stream of octets means, however it is cut -------------------------------------------

/// The limits of an endpoint's configuration, each drawn by itself, so that ignoring one of them shows.
#[derive(Clone, Copy, Debug)]
struct Limits {
    frame: Option<u64>,
    message: usize,
    stream: u64,
}

impl Limits {
    /// The limit for a message that is pulled whole, or in pieces.
    fn whole(self, chunks: bool) -> u64 {
        if chunks {
            self.stream
        } else {
            self.message as u64
        }
    }

    fn config(self) -> Arc<Config> {
        config(|config| {
            config.max_frame_size = self.frame;
            config.max_message_size = self.message;
            config.max_stream_size = self.stream;
        })
    }
}

/// The defaults half of the time, otherwise limits that small frames reach.
fn limits() -> impl Strategy<Value = Limits> {
    let small = || prop_oneof![0..4_u16, 0..20_u16, 100..300_u16];
    let frame = prop_oneof![Just(None), small().prop_map(|max| Some(max.into()))];
    let message = prop_oneof![Just(1 << 20), small().prop_map_into::<usize>()];
    let stream = prop_oneof![Just(u64::MAX), small().prop_map_into::<u64>()];
    (frame, message, stream).prop_map(|(frame, message, stream)| Limits {
        frame,
        message,
        stream,
    })
}

/// Returns what an endpoint must make of all these octets, followed by the end of the transport. It is written from
/// RFC 6455 for octets that are all present, so that it stays simple. `limits` are the largest frame and the
/// largest message.
fn meaning(mut rest: &[u8], role: Role, limits: (Option<u64>, u64)) -> (Vec<Event>, Outcome) {
    let (max_frame, max_message) = limits;
    let mut events = Vec::new();
    let mut begun: Option<(Kind, Vec<u8>)> = None;
    let lost = |events| (events, Outcome::Lost);
    loop {
        // §5.2, octet for octet.
        let Some(&first) = rest.first() else {
            return lost(events);
        };
        let (fin, opcode) = (first & 0x80 != 0, first & 0x0F);
        let control = opcode & 8 != 0;
        let legal = match opcode {
            0 => begun.is_some(),
            1 | 2 => begun.is_none(),
            8..=10 => fin,
            _ => false,
        };
        if first & 0x70 != 0 || !legal {
            return (events, Outcome::Failed(1002));
        }
        let Some(&second) = rest.get(1) else {
            return lost(events);
        };
        let masked = second & 0x80 != 0;
        let short = second & 0x7F;
        if masked != (role == Role::Server) || control && short > 125 {
            return (events, Outcome::Failed(1002));
        }
        let (more, least) = match short {
            126 => (2, 126),
            127 => (8, 65_536),
            _ => (0, 0),
        };
        let Some(length) = rest.get(2..2 + more) else {
            return lost(events);
        };
        let long = length
            .iter()
            .fold(0_u64, |len, octet| len << 8 | u64::from(*octet));
        let len = if more == 0 { u64::from(short) } else { long };
        if len < least || len >> 63 != 0 {
            return (events, Outcome::Failed(1002));
        }
        rest = &rest[2 + more..];
        let mut key = [0; 4];
        if masked {
            let Some((found, behind)) = rest.split_first_chunk() else {
                return lost(events);
            };
            (key, rest) = (*found, behind);
        }
        let before = begun
            .as_ref()
            .map_or(0, |(_, gathered)| gathered.len() as u64);
        let total = before.saturating_add(len);
        if !control && (max_frame.is_some_and(|max| len > max) || total > max_message) {
            return (events, Outcome::Failed(1009));
        }
        let there = rest.len().min(usize::try_from(len).unwrap());
        let whole = there as u64 == len;
        let payload: Vec<u8> = rest[..there]
            .iter()
            .zip(key.iter().cycle())
            .map(|(o, k)| o ^ k)
            .collect();
        rest = &rest[there..];
        if control {
            if !whole {
                return lost(events);
            }
            match opcode {
                9 => events.push(Event::Ping(testing::ends::payload(payload))),
                10 => events.push(Event::Pong(testing::ends::payload(payload))),
                _ => return close(events, &payload),
            }
            continue;
        }
        // §5.4, §8.1.
        let kind = if opcode == 1 {
            Kind::Text
        } else {
            Kind::Binary
        };
        let (kind, gathered) = begun.get_or_insert((kind, Vec::new()));
        gathered.extend(payload);
        let ends = whole && fin;
        if *kind == Kind::Text
            && let Err(error) = str::from_utf8(gathered)
            && (error.error_len().is_some() || ends)
        {
            return (events, Outcome::Failed(1007));
        }
        if !whole {
            return lost(events);
        }
        if ends {
            let data = chunk(*kind, &*gathered, true).data;
            events.push(Event::Data(data));
            begun = None;
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Outcome {
    Closed,
    Failed(u16),
    Lost,
}

/// §5.5.1, §7.4.
fn close(mut events: Vec<Event>, body: &[u8]) -> (Vec<Event>, Outcome) {
    let Some((code, reason)) = body.split_first_chunk() else {
        return match body {
            [] => {
                events.push(Event::Close(None));
                (events, Outcome::Closed)
            }
            _ => (events, Outcome::Failed(1002)),
        };
    };
    let code = u16::from_be_bytes(*code);
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return (events, Outcome::Failed(1002));
    }
    let Ok(reason) = str::from_utf8(reason) else {
        return (events, Outcome::Failed(1007));
    };
    events.push(Event::Close(Some(close_frame(code, reason))));
    (events, Outcome::Closed)
}

/// Frames of a conversation that follows the rules, as the other end writes them.
fn conversation(max: usize) -> impl Strategy<Value = Vec<Frame>> {
    let control = prop_oneof![
        vec(any::<u8>(), 0..=125).prop_map(|body| Frame::new(PING, body)),
        vec(any::<u8>(), 0..=125).prop_map(|body| Frame::new(PONG, body)),
    ];
    let small = (message(), vec(any::<Index>(), 0..4), vec(control, 0..3));
    let message = small.prop_map(move |(message, cuts, controls)| {
        let bytes = message.as_bytes();
        let bytes = &bytes[..bytes.len().min(max)];
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.sort_unstable();
        cuts.push(bytes.len());
        let mut frames = Vec::new();
        let mut at = 0;
        let last = cuts.len() - 1;
        let mut controls = controls.into_iter();
        for (i, cut) in cuts.into_iter().enumerate() {
            let opcode = match (i, message.kind()) {
                (0, Kind::Text) => TEXT,
                (0, Kind::Binary) => BINARY,
                _ => CONTINUATION,
            };
            let fin = if i == last { FIN } else { 0 };
            frames.push(Frame::new(fin | opcode, &bytes[at..cut]));
            frames.extend(controls.next());
            at = cut;
        }
        frames
    });
    let close = prop_oneof![
        2 => Just(None),
        1 => Just(Some(Frame::new(CLOSE, ""))),
        1 => Just(Some(Frame::close(1000, "bye"))),
    ];
    (vec(message, 0..6), close)
        .prop_map(|(messages, close)| messages.into_iter().flatten().chain(close).collect())
}

/// Something on the way that may break rules.
#[derive(Clone, Debug)]
enum Damage {
    Set(Index, u8),
    Flip(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index),
    Truncate(Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<Index>;
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, octet)| Damage::Set(at, octet)),
        (at(), 0..8_u32).prop_map(|(at, bit)| Damage::Flip(at, 1 << bit)),
        (at(), vec(any::<u8>(), 1..5)).prop_map(|(at, octets)| Damage::Insert(at, octets)),
        at().prop_map(Damage::Remove),
        at().prop_map(Damage::Truncate),
    ]
}

fn damaged(mut bytes: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
    for damage in damages {
        if bytes.is_empty() {
            break;
        }
        let place = |at: &Index, len: usize| at.index(len);
        let len = bytes.len();
        match damage {
            Damage::Set(at, octet) => bytes[place(at, len)] = *octet,
            Damage::Flip(at, bit) => bytes[place(at, len)] ^= bit,
            Damage::Insert(at, octets) => {
                let at = place(at, len);
                bytes.splice(at..at, octets.iter().copied());
            }
            Damage::Remove(at) => drop(bytes.remove(place(at, len))),
            Damage::Truncate(at) => bytes.truncate(place(at, len)),
        }
    }
    bytes
}

/// Octets that look like small frames often enough to get somewhere.
fn garbage(role: Role) -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![
        8 => prop_oneof![
            Just(0x01), Just(0x02), Just(0x00), Just(0x80), Just(0x81), Just(0x82), Just(0x89),
            Just(0x8A), Just(0x88),
        ],
        1 => any::<u8>(),
    ];
    let len = prop_oneof![20 => 0..10_u8, 1 => any::<u8>()];
    let body = vec(prop_oneof![3 => b'a'..=b'z', 1 => any::<u8>()], 0..10);
    vec((first, len, any::<bool>(), body), 0..12).prop_map(move |frames| {
        let mut bytes = Vec::new();
        for (first, len, wrong, mut body) in frames {
            bytes.push(first);
            let masked = if role == Role::Server { 0x80 } else { 0 };
            bytes.push(len ^ masked);
            if role == Role::Server {
                bytes.extend([0; 4]);
            }
            if !wrong {
                body.resize(usize::from(len & 0x7F), b'x');
            }
            bytes.extend(body);
        }
        bytes
    })
}

/// Reads `bytes` in `parts`, which repeat, and then the end.
fn hear(node: &mut Node, bytes: &[u8], parts: &[usize]) {
    let now = Instant::EPOCH;
    node.port.link.put(bytes, now);
    for part in parts.iter().cycle() {
        if node.port.link.is_empty() || !node.read(*part, now) {
            break;
        }
    }
    node.port.link.end(now);
    while node.read(usize::MAX, now) && !node.port.link.is_empty() {}
}

/// Checks that all ways, whole and in `parts`, give the same result, and that it is what the RFC and the limits
/// say.
fn assert_invariant(bytes: &[u8], role: Role, limits: Limits, parts: &[usize]) {
    let config = limits.config();
    for chunks in [false, true] {
        let (events, outcome) = meaning(bytes, role, (limits.frame, limits.whole(chunks)));
        let mut error = None;
        for way in WAYS {
            for parts in [parts, &[usize::MAX]] {
                let mut node = Node::new(role, way, &config);
                node.chunks = chunks;
                hear(&mut node, bytes, parts);
                let how = format!("{way:?}, chunks: {chunks}, parts: {parts:?}");
                let mut got = node.events();
                let failed = got.pop_if(|event| event.is_err()).map(Result::unwrap_err);
                let got: Vec<_> = got.into_iter().map(Result::unwrap).collect();
                assert_eq!(got, events, "{how}");
                assert_eq!(*error.get_or_insert(failed), failed, "{how}");
                let told = match failed {
                    Some(ConnectionError::Protocol(error)) => {
                        Outcome::Failed(error.close_code().get())
                    }
                    Some(_) => Outcome::Lost,
                    None => Outcome::Closed,
                };
                assert_eq!(told, outcome, "{how}: {failed:?}");
                // The peer gets the same report.
                while !node.write(usize::MAX, true).is_empty() {}
                let close = node.frames().pop().filter(|frame| frame.first == CLOSE);
                let code = close.and_then(|frame| frame.payload.first_chunk().copied());
                if let Outcome::Failed(expected) = outcome {
                    assert_eq!(code, Some(expected.to_be_bytes()), "{how}");
                }
            }
        }
    }
}

fn small_parts() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![vec(1..4_usize, 1..4), vec(1..200_usize, 1..8)]
}

fn large_parts() -> impl Strategy<Value = Vec<usize>> {
    vec(500..20_000_usize, 1..8)
}

proptest! {
    #![proptest_config(settings(64))]

    #[test]
    fn a_conversation_means_the_same_however_it_is_cut(
        role in role(),
        frames in conversation(500),
        limits in limits(),
        parts in small_parts(),
    ) {
        assert_invariant(&wire(&frames, other(role)), role, limits, &parts);
    }

    #[test]
    fn a_long_conversation_means_the_same_however_it_is_cut(
        role in role(),
        frames in conversation(70_000),
        limits in limits(),
        parts in large_parts(),
    ) {
        assert_invariant(&wire(&frames, other(role)), role, limits, &parts);
    }
}

proptest! {
    #![proptest_config(settings(512))]

    #[test]
    fn a_damaged_conversation_means_the_same_however_it_is_cut(
        role in role(),
        frames in conversation(150),
        limits in limits(),
        damages in vec(damage(), 1..4),
        parts in small_parts(),
    ) {
        let bytes = wire(&frames, other(role));
        assert_invariant(&damaged(bytes, &damages), role, limits, &parts);
    }

    #[test]
    fn garbage_means_the_same_however_it_is_cut(
        (role, bytes) in role().prop_flat_map(|role| (Just(role), garbage(role))),
        limits in limits(),
        parts in small_parts(),
    ) {
        assert_invariant(&bytes, role, limits, &parts);
    }

    /// Pulling messages and pieces in any order loses no control frame, and the end is the same.
    #[test]
    fn pull_methods_in_any_order_come_to_the_same_end(
        (role, bytes) in role().prop_flat_map(|role| (Just(role), garbage(role))),
        parts in small_parts(),
        limits in limits(),
        asks in vec(any::<bool>(), 1..8),
    ) {
        // The limit among the other two depends on the pull method; the model connection knows which.
        let (events, outcome) = meaning(&bytes, role, (limits.frame, u64::MAX));
        let mut end = End::with(role, |config| {
            config.max_frame_size = limits.frame;
            config.max_message_size = usize::MAX;
        });
        let mut asks = asks.iter().cycle();
        let mut parts = parts.iter().cycle();
        let mut rest = &bytes[..];
        let mut got = Vec::new();
        let mut failed = None;
        let mut whole = Vec::new();
        loop {
            loop {
                let chunks = *asks.next().unwrap();
                let event = if chunks {
                    end.conn.poll_chunk()
                } else {
                    end.conn.poll_event().map(|event| event.map(|event| match event {
                        Event::Data(data) => Event::Data(bowline_proto::Chunk { data, fin: true }),
                        Event::Ping(payload) => Event::Ping(payload),
                        Event::Pong(payload) => Event::Pong(payload),
                        Event::Close(frame) => Event::Close(frame),
                    }))
                };
                match event {
                    Ok(None) => break,
                    Ok(Some(Event::Data(_))) if chunks => {}
                    Ok(Some(Event::Data(chunk))) => whole.push(chunk.data),
                    Ok(Some(Event::Ping(payload))) => got.push(Event::Ping(payload)),
                    Ok(Some(Event::Pong(payload))) => got.push(Event::Pong(payload)),
                    Ok(Some(Event::Close(frame))) => got.push(Event::Close(frame)),
                    Err(error) => {
                        prop_assert_eq!(failed.replace(error), None);
                    }
                }
            }
            if rest.is_empty() {
                break;
            }
            let len = rest.len().min(*parts.next().unwrap());
            let (part, behind) = rest.split_at(len);
            end.receive(part);
            rest = behind;
            if rest.is_empty() {
                end.conn.handle_eof();
            }
        }
        if bytes.is_empty() {
            return Ok(());
        }
        let controls: Vec<_> = events
            .iter()
            .filter(|event| !matches!(event, Event::Data(_)))
            .cloned()
            .collect();
        prop_assert_eq!(got, controls);
        let told = match failed {
            Some(ConnectionError::Protocol(error)) => Outcome::Failed(error.close_code().get()),
            Some(_) => Outcome::Lost,
            None => Outcome::Closed,
        };
        prop_assert_eq!(told, outcome);
        // Pulling whole messages returned whole messages, in order.
        let mut sent = events.iter();
        for message in whole {
            let found = sent.any(|event| matches!(event, Event::Data(data) if *data == message));
            prop_assert!(found, "{:?}", message);
        }
    }
}
