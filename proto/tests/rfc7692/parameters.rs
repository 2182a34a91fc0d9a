//! §7.1: the effect of each parameter of the negotiation.

use bowline_proto::{
    Role,
    deflate::{Agreed, Deflate},
    handshake::ResponseError,
};
use testing::{
    ends::{
        deflate::{self, USUAL, compressed, window},
        text,
    },
    frames::{Frame, TEXT},
};

use crate::negotiation::{agree, answer, answer_to, with};

#[test]
fn s7_1_1_1_server_no_context_takeover() {
    let server = |options, offer: &str| answer_to(options, &[offer]);
    // If it is offered, it is included.
    let (answer, agreed) = server(
        Deflate::default(),
        "permessage-deflate; server_no_context_takeover",
    );
    let included = "permessage-deflate; server_no_context_takeover";
    assert_eq!(answer.as_deref(), Some(included));
    assert_eq!(agreed.unwrap().send, window(15, false));
    assert_eq!(agreed.unwrap().recv, window(15, true));
    // "A server MAY include" it even if it was not offered.
    let own = with(|options| options.send.takeover = false);
    let (answer, agreed) = server(own, "permessage-deflate");
    assert_eq!(answer.as_deref(), Some(included));
    assert_eq!(agreed.unwrap().send, window(15, false));

    // A client accepts it without having asked, and fails without it if it has asked.
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
    // A hint is confirmed, so that the server needs no window either.
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
    // Its own hint holds even without an answer.
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
    // zlib has no such window, so the offer is declined.
    assert_eq!(answer("permessage-deflate; server_max_window_bits=8"), None);
    // "A server MAY include" it without having been asked.
    let own = with(|options| options.send.bits = 10);
    let (answer, _) = answer_to(own, &["permessage-deflate"]);
    let expected = "permessage-deflate; server_max_window_bits=10";
    assert_eq!(answer.as_deref(), Some(expected));

    // A client inflates any window, and fails if it is larger than it asked for.
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

    // A client respects it, and its own limit.
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
