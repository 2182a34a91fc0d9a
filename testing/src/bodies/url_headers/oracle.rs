//! URLs, read by our parser and by the `url` crate, which reads them as browsers do.

use bowline_bind::{Connect, ConnectError, Destination, Host, UrlError};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use url::Url;

use crate::bodies::heads;

/// Checks that both read `text` in the same way, or that one of them refuses it for a known reason.
pub(super) fn check(text: &str) {
    let ours = Connect::new(text).prepare();
    let theirs = Url::parse(text).ok();
    let theirs = theirs.filter(|url| matches!(url.scheme(), "ws" | "wss"));
    match (&ours, &theirs) {
        (Ok(ours), Some(theirs)) => assert_same(text, ours, theirs),
        // A name in ASCII is not subject to IDNA for us, even if it claims to be IDNA-encoded.
        (
            Ok(Destination {
                host: Host::Name(name),
                ..
            }),
            None,
        ) => {
            let is_encoded = |label: &str| label.starts_with("xn--");
            assert!(
                name.split('.').any(is_encoded),
                "{text:?}: only ours takes it"
            );
        }
        (Ok(ours), None) => panic!("{text:?}: only ours takes it, for {:?}", ours.host),
        (Err(error), Some(theirs)) => {
            assert!(
                is_refused_rightly(text, error, theirs),
                "{text:?}: {error}, and not to {theirs}"
            );
        }
        (Err(_), None) => {}
    }
}

/// Checks that the same server is asked for the same, with the same credentials.
fn assert_same(text: &str, ours: &Destination, theirs: &Url) {
    assert_eq!(ours.tls, theirs.scheme() == "wss", "{text:?}");
    let same_host = match (&ours.host, theirs.host()) {
        (Host::Name(ours), Some(url::Host::Domain(theirs))) => ours == theirs,
        (Host::Addr(ours), Some(url::Host::Ipv4(theirs))) => *ours == theirs,
        (Host::Addr(ours), Some(url::Host::Ipv6(theirs))) => *ours == theirs,
        _ => false,
    };
    assert!(same_host, "{text:?}: {:?}, {:?}", ours.host, theirs.host());
    assert_eq!(Some(ours.port), theirs.port_or_known_default(), "{text:?}");
    if !has_drive(theirs.path()) {
        assert_eq!(ours.request.target(), target(theirs), "{text:?}");
    }
    assert_eq!(theirs.fragment(), None, "{text:?}");
    let sent = ours.request.headers().get("Authorization");
    let sent = sent.map(|sent| heads::decode(sent.strip_prefix(b"Basic ").expect("Basic")));
    assert_eq!(
        sent,
        credentials(theirs).map(|(user, password)| [&user[..], b":", &password].concat()),
        "{text:?}"
    );
}

/// The characters that browsers leave as they are in a path or a query, although RFC 3986 allows them in neither.
/// (A backslash is left only in a query.)
const LEFT: &AsciiSet = &CONTROLS
    .add(b'[')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}')
    .add(b'\\');

/// Whether a segment looks like a Windows drive. `url` keeps it before `..` in every scheme, but the URL Standard
/// does so only for `file:`.
fn has_drive(path: &str) -> bool {
    let is_drive = |segment: &str| matches!(segment.as_bytes(), [letter, b':' | b'|'] if letter.is_ascii_alphabetic());
    path.split('/').any(is_drive)
}

/// Returns path and query; we escape what browsers leave.
fn target(url: &Url) -> String {
    let target = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    utf8_percent_encode(&target, LEFT).to_string()
}

fn credentials(url: &Url) -> Option<(Vec<u8>, Vec<u8>)> {
    let user = percent_decode_str(url.username()).collect::<Vec<_>>();
    let password = percent_decode_str(url.password().unwrap_or_default()).collect::<Vec<_>>();
    (!user.is_empty() || !password.is_empty()).then_some((user, password))
}

/// Whether we may refuse `text`, which browsers read as `theirs`.
fn is_refused_rightly(text: &str, error: &ConnectError, theirs: &Url) -> bool {
    let slashes = ["ws://", "wss://"].into_iter().find(|start| {
        let given = text.get(..start.len());
        given.is_some_and(|given| given.eq_ignore_ascii_case(start))
    });
    let rest = slashes.map_or("", |start| &text[start.len()..]);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (userinfo, place) = authority.rsplit_once('@').unwrap_or(("", authority));
    let before_query = rest.split(['?', '#']).next().unwrap_or_default();
    match error {
        ConnectError::Url(error) => match error {
            // Browsers drop control characters, and spaces at the ends.
            UrlError::Character => {
                let is_control = |byte: u8| byte.is_ascii_control();
                text.bytes().any(is_control)
                    || text.starts_with(' ')
                    || text.ends_with(' ')
                    || authority.contains(' ')
            }
            // Browsers need no slashes, and take backslashes for them.
            UrlError::NoScheme => slashes.is_none(),
            // RFC 6455 §3 allows no fragment.
            UrlError::Fragment => theirs.fragment().is_some(),
            // Browsers escape what should have been escaped.
            UrlError::UserInfo => {
                let mut bytes = userinfo.bytes();
                bytes.any(|byte| b"\"<>@[]^`{|}".contains(&byte))
                    || has_odd_percent(userinfo)
                    || has_odd_character(userinfo)
            }
            // Browsers skip any number of slashes, decode escapes, accept four characters that RFC 3986 allows in
            // no name, and read one, two or three numbers, or numbers that are not decimal, as an address.
            UrlError::Host => {
                let (host, _) = place.rsplit_once(':').unwrap_or((place, ""));
                let is_odd_address = matches!(theirs.host(), Some(url::Host::Ipv4(address)) if address.to_string() != host);
                authority.is_empty()
                    || theirs
                        .host_str()
                        .is_some_and(|host| host.contains(['"', '`', '{', '}']))
                    || place.contains('%')
                    || is_odd_address
                    || has_odd_character(place)
            }
            UrlError::Escape => before_query.contains('\\') || has_odd_percent(rest),
            // TLS is not part of every build.
            UrlError::NoTls => theirs.scheme() == "wss",
            _ => false,
        },
        // RFC 7617 §2 allows no colon in the user, and no control characters.
        ConnectError::Header(_) => credentials(theirs).is_some_and(|(user, password)| {
            let has_control = user.iter().chain(&password).any(u8::is_ascii_control);
            has_control || user.contains(&b':')
        }),
        _ => false,
    }
}

/// Whether it has a `%` that begins no escape.
fn has_odd_percent(text: &str) -> bool {
    let is_escape = |follows: &str| {
        let digits = follows.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    text.split('%').skip(1).any(|follows| !is_escape(follows))
}

/// Whether it has a character that RFC 3987 §2.2 excludes from `ucschar`: a private one, a noncharacter, or a tag.
fn has_odd_character(text: &str) -> bool {
    text.chars().map(u32::from).any(|char| {
        char > 0x7f
            && (char < 0xa0
                || (0xe000..0xf900).contains(&char)
                || (0xfdd0..0xfdf0).contains(&char)
                || (0xfff0..0x10000).contains(&char)
                || char & 0xfffe == 0xfffe
                || (0xe0000..0xe1000).contains(&char)
                || char >= 0xf0000)
    })
}
