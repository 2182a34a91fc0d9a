//! The offer and the answer, without the HTTP/1.1 that carries them.

use bowline_proto::handshake::{
    AnswerError, Asked, Disagreement, Headers, Offer, OfferError, Origins, Refusal, RequestError,
    ResponseError,
};

use super::config;

fn fields(pairs: &[(&'static str, &'static str)]) -> Headers {
    let mut fields = Headers::new();
    for (name, value) in pairs {
        fields.push(*name, *value).unwrap();
    }
    fields
}

fn pairs(fields: &Headers) -> Vec<(&str, &[u8])> {
    fields.iter().collect()
}

const VERSION: (&str, &str) = ("Sec-WebSocket-Version", "13");

#[test]
fn an_offer_and_its_answer_agree_without_a_version_of_http() {
    let config = config();
    let given = fields(&[
        ("Sec-WebSocket-Protocol", "chat, superchat"),
        ("Cookie", "a"),
    ]);
    let offer = Offer::new(&given, &config).unwrap();
    let asked = offer.fields();
    assert_eq!(
        pairs(&asked),
        [
            ("Sec-WebSocket-Version", &b"13"[..]),
            ("Sec-WebSocket-Protocol", b"chat, superchat")
        ]
    );
    let asked = Asked::new(&asked).unwrap();
    let answer = asked
        .respond(&["superchat"], Origins::Any, &config)
        .unwrap();
    assert_eq!(
        pairs(&answer.fields),
        [("Sec-WebSocket-Protocol", &b"superchat"[..])]
    );
    assert_eq!(offer.agree(&answer.fields), Ok(answer.negotiated));
    // The server need not pick a subprotocol.
    let answer = asked.answer(None, &config).unwrap();
    assert!(answer.fields.is_empty());
    assert_eq!(offer.agree(&answer.fields), Ok(answer.negotiated));
    let refused = asked.answer(Some("other"), &config).unwrap_err();
    assert_eq!(refused, AnswerError::NotOffered);
}

#[cfg(feature = "deflate")]
#[test]
fn an_offer_and_its_answer_agree_on_compression() {
    let mut config = config();
    config.deflate = Some(Default::default());
    let offer = Offer::new(&Headers::new(), &config).unwrap();
    let asked = offer.fields();
    let answer = Asked::new(&asked).unwrap().answer(None, &config).unwrap();
    assert!(answer.negotiated.deflate.is_some());
    assert_eq!(offer.agree(&answer.fields), Ok(answer.negotiated));
}

#[test]
fn what_is_asked_for_is_checked_before_it_is_answered() {
    let protocols = |value| fields(&[VERSION, ("Sec-WebSocket-Protocol", value)]);
    let cases = [
        (Headers::new(), Refusal::Version),
        (fields(&[("Sec-WebSocket-Version", "8")]), Refusal::Version),
        (fields(&[VERSION, VERSION]), Refusal::Versions),
        (protocols("a, a"), Refusal::Subprotocol),
        (protocols(""), Refusal::Subprotocol),
        (
            fields(&[VERSION, ("Sec-WebSocket-Extensions", "a;")]),
            Refusal::Extensions,
        ),
        (
            fields(&[VERSION, ("Origin", "null"), ("Origin", "null")]),
            Refusal::Origin,
        ),
    ];
    for (fields, refusal) in cases {
        assert_eq!(Asked::new(&fields).unwrap_err(), refusal, "{fields:?}");
        // HTTP/1.1 reports it in the same words.
        assert_eq!(RequestError::from(refusal).to_string(), refusal.to_string());
    }
    let foreign = fields(&[VERSION, ("Origin", "https://evil.test")]);
    let asked = Asked::new(&foreign).unwrap();
    let refusal = asked.respond(&[], Origins::Listed(&["https://a.test"]), &config());
    assert_eq!(refusal.unwrap_err(), Refusal::ForeignOrigin);
    assert!(
        asked
            .respond(&[], Origins::Listed(&["https://evil.test"]), &config())
            .is_ok()
    );
    assert!(asked.respond(&[], Origins::Any, &config()).is_ok());
}

#[test]
fn an_answer_that_was_not_asked_for_is_a_disagreement() {
    let mut config = config();
    let given = fields(&[("Sec-WebSocket-Protocol", "chat")]);
    let protocols = |value| fields(&[("Sec-WebSocket-Protocol", value)]);
    let offer = Offer::new(&given, &config).unwrap();
    let cases = [
        (protocols("other"), Disagreement::Subprotocol),
        (protocols("chat, chat"), Disagreement::Subprotocols),
        (
            fields(&[("Sec-WebSocket-Extensions", "x-unknown")]),
            Disagreement::Extension,
        ),
        (
            fields(&[("Sec-WebSocket-Extensions", "")]),
            Disagreement::Extensions,
        ),
    ];
    for (fields, disagreement) in cases {
        assert_eq!(offer.agree(&fields), Err(disagreement), "{fields:?}");
        assert_eq!(
            ResponseError::from(disagreement).to_string(),
            disagreement.to_string()
        );
    }
    config.require_subprotocol = true;
    let offer = Offer::new(&given, &config).unwrap();
    assert_eq!(
        offer.agree(&Headers::new()),
        Err(Disagreement::NoSubprotocol)
    );
    assert_eq!(
        Offer::new(&protocols("a, a"), &config).unwrap_err(),
        OfferError::Subprotocol
    );
}
