//! The credentials of a request, and their comparison (RFC 6455 §10.5, RFC 7617, RFC 6750).

use bowline_proto::handshake::secrets_match;
use proptest::prelude::*;

use super::*;

/// Returns a request with these lines, as a server receives it.
fn received(lines: &str) -> Request {
    incoming(with(REQUEST, lines)).request().clone()
}

#[test]
fn rfc7617_s2_the_user_ends_at_the_first_colon() {
    for (field, user, password) in [
        // The examples of §2 and §2.1.
        (
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
            "Aladdin",
            "open sesame",
        ),
        ("Basic dGVzdDoxMjPCow==", "test", "123£"),
        ("basic YTpi", "a", "b"),
        ("BASIC   YTpi", "a", "b"),
        ("Basic YTpiOmM=", "a", "b:c"),
        ("Basic Og==", "", ""),
        ("Basic YTo=", "a", ""),
        ("Basic OmI=", "", "b"),
    ] {
        let request = received(&format!("Authorization: {field}"));
        let basic = request.basic().expect(field);
        assert_eq!(basic.user(), user);
        assert!(basic.is(user, password), "{field}");
        for (user, password) in [
            ("x", password),
            (user, "x"),
            ("x", "x"),
            (&user.to_uppercase(), "x"),
            (user, &format!("{password} ")),
        ] {
            assert!(!basic.is(user, password), "{field}, {user}, {password}");
        }
        assert_eq!(request.bearer(), None);
    }
    let basic = received("Authorization: Basic YTpi").basic().unwrap();
    assert!(!basic.is("b", "a") && !basic.is("a:b", "") && !basic.is("", "a:b"));
}

#[test]
fn rfc7617_s2_what_is_no_basic_credential() {
    for lines in [
        "X-A: none",
        "Authorization:",
        "Authorization: Basic",
        "Authorization: BasicYTpi",
        "Authorization: Basic\tYTpi",
        "Authorization: Bearer YTpi",
        "Authorization: Basic YTpi YTpi",
        "Authorization: Basic YTpi, Basic YTpi",
        "Authorization: Basic YTpi\r\nAuthorization: Basic YTpi",
        "Authorization: Basic YTpi\r\nAuthorization: Bearer a",
        "Proxy-Authorization: Basic YTpi",
        // No padding, another alphabet, no colon, ISO 8859-1, and control characters.
        "Authorization: Basic YTo",
        "Authorization: Basic YTp-",
        "Authorization: Basic YWI=",
        "Authorization: Basic dGVzdDoxMjOj",
        "Authorization: Basic YQo6Yg==",
        "Authorization: Basic YTpiAA==",
        "Authorization: Basic YTp/",
    ] {
        assert!(received(lines).basic().is_none(), "{lines}");
    }
}

#[test]
fn a_password_is_not_shown() {
    let basic = received("Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==").basic();
    let shown = format!("{basic:?}");
    assert!(shown.contains("Aladdin") && !shown.contains("sesame"));
}

#[test]
fn rfc6750_s2_1_a_token_is_taken_as_it_is() {
    for (field, token) in [
        ("Bearer mF_9.B5f-4.1JqM", "mF_9.B5f-4.1JqM"),
        ("bEARER  a", "a"),
        ("Bearer A-._~+/9==", "A-._~+/9=="),
    ] {
        let request = received(&format!("Authorization: {field}"));
        assert_eq!(request.bearer(), Some(token));
        assert!(request.basic().is_none());
    }
    for lines in [
        "X-A: none",
        "Authorization: Bearer",
        "Authorization: Bearer =",
        "Authorization: Bearer a=b",
        "Authorization: Bearer a b",
        "Authorization: Bearer a,b",
        "Authorization: Bearer \"a\"",
        "Authorization: Bearer \u{e9}",
        "Authorization: BearerX a",
        "Authorization: Basic a",
        "Authorization: Bearer a\r\nAuthorization: Bearer a",
    ] {
        assert_eq!(received(lines).bearer(), None, "{lines}");
    }
}

#[test]
fn s10_5_secrets_match_only_as_a_whole() {
    let secret = b"mF_9.B5f-4.1JqM";
    assert!(secrets_match(secret, secret));
    assert!(secrets_match(b"", b""));
    for at in 0..secret.len() {
        assert!(!secrets_match(&secret[..at], secret), "a prefix");
        assert!(
            !secrets_match(secret, &secret[..at]),
            "a prefix is expected"
        );
        for bit in 0..8 {
            let mut given = *secret;
            given[at] ^= 1 << bit;
            assert!(!secrets_match(&given, secret), "byte {at}, bit {bit}");
        }
    }
}

proptest! {
    #[test]
    fn s10_5_secrets_match_if_they_are_equal(
        given in prop::collection::vec(0_u8..3, 0..4),
        expected in prop::collection::vec(0_u8..3, 0..4),
    ) {
        prop_assert_eq!(secrets_match(&given, &expected), given == expected);
    }
}
