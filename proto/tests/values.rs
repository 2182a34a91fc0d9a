//! Conversions of an application's own types to a message, a Close and a verdict.

use std::borrow::Cow;

use bowline_proto::{
    CloseCode, CloseFrame, Closed, Initiator, IntoClose, InvalidCloseCode, Message, Outgoing,
    Utf8Bytes,
};
use bytes::{Bytes, BytesMut};

/// The same text, as every type that an application may have it in.
#[test]
fn text_is_sent_from_what_holds_it() {
    let name = String::from("Anna");
    let messages: [Message; 7] = [
        name.as_str().into(),
        (&name).into(),
        Cow::Borrowed(name.as_str()).into(),
        Cow::<str>::Owned(name.clone()).into(),
        name.clone().into_boxed_str().into(),
        Utf8Bytes::from_static("Anna").into(),
        name.clone().into(),
    ];
    for message in messages {
        assert_eq!(message.into_text().as_deref(), Ok("Anna"));
    }
}

#[test]
fn bytes_are_sent_from_what_holds_them() {
    let data = vec![1, 2, 3];
    let messages: [Message; 10] = [
        [1, 2, 3].into(),
        (&[1, 2, 3]).into(),
        data.as_slice().into(),
        (&data).into(),
        Cow::Borrowed(data.as_slice()).into(),
        Cow::<[u8]>::Owned(data.clone()).into(),
        data.clone().into_boxed_slice().into(),
        BytesMut::from(data.as_slice()).into(),
        Bytes::from_static(&[1, 2, 3]).into(),
        data.clone().into(),
    ];
    for message in messages {
        assert_eq!(message, Message::Binary(data.clone().into()));
        assert_eq!(message.clone().into_text(), Err(message));
    }
}

#[test]
fn what_is_owned_is_not_copied() {
    let text = String::from("a text that is somewhere");
    let place = text.as_ptr();
    let Message::Text(sent) = Message::from(text) else {
        unreachable!("it is text");
    };
    assert_eq!(sent.as_bytes().as_ptr(), place);
    let data = vec![7_u8; 100].into_boxed_slice();
    let place = data.as_ptr();
    let sent = Outgoing::from(data);
    assert_eq!(sent.message().as_bytes().as_ptr(), place);
}

#[test]
fn a_connection_is_closed_with_a_code_a_reason_or_nothing() {
    let code = CloseCode::POLICY_VIOLATION;
    let frame = CloseFrame::new(code, "why").unwrap();
    assert_eq!(
        CloseCode::NORMAL.into_close(),
        Some(CloseCode::NORMAL.into())
    );
    assert_eq!((code, "why").into_close(), Some(frame.clone()));
    assert_eq!(
        (code, String::from("why")).into_close(),
        Some(frame.clone())
    );
    assert_eq!(frame.clone().into_close(), Some(frame.clone()));
    assert_eq!(Some(frame.clone()).into_close(), Some(frame));
    assert_eq!(None.into_close(), None);
}

/// RFC 6455 §5.5: a control frame has at most 125 bytes, of which the code takes two.
#[test]
fn s5_5_a_long_reason_is_cut_after_the_last_character_that_fits() {
    for (reason, len) in [
        ("x".repeat(123), 123),
        ("x".repeat(124), 123),
        ("é".repeat(62), 122),
    ] {
        let frame = (CloseCode::NORMAL, &reason).into_close().unwrap();
        assert_eq!(frame.reason().as_str(), &reason[..len]);
    }
}

/// RFC 6455 §7.4.1, §7.4.2.
#[test]
fn s7_4_a_code_is_made_from_a_number_and_compares_with_one() {
    assert_eq!(CloseCode::try_from(4001).map(u16::from), Ok(4001));
    assert_eq!(CloseCode::NORMAL, 1000);
    assert_eq!(1000, CloseCode::NORMAL);
    assert_ne!(CloseCode::NORMAL, 1001);
    for code in [0, 999, 1004, 1005, 1006, 1015, 2999, 5000] {
        let error: InvalidCloseCode = CloseCode::try_from(code).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with(&format!("{code} may not be sent"))
        );
    }
}

/// A peer that refuses, or that has failed, says so in a Close, and the end is still clean.
#[test]
fn a_refusal_is_no_normal_end() {
    let ended = |code, clean| {
        let mut closed = Closed::abnormal(Initiator::Peer, None);
        (closed.code, closed.clean) = (code, clean);
        closed
    };
    for code in [1000, 1001, Closed::NO_STATUS] {
        assert!(ended(code, true).is_normal(), "{code}");
        assert_eq!(ended(code, true).into_result(), Ok(()));
        assert!(!ended(code, false).is_normal(), "{code}");
    }
    for code in [1002, 1008, 1009, 1011, 1012, 4000, Closed::ABNORMAL] {
        let closed = ended(code, true);
        assert_eq!(closed.clone().into_result(), Err(closed));
    }
}
