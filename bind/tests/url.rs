//! The server and the request that a URL stands for, and the errors of URLs that are not valid.

use std::{net::IpAddr, path::Path};

use bowline_bind::{Connect, ConnectError, Destination, Host, UrlError};

fn prepared(url: &str) -> Result<Destination, UrlError> {
    match Connect::new(url).prepare() {
        Ok(to) => Ok(to),
        Err(ConnectError::Url(error)) => Err(error),
        Err(error) => panic!("{url:?}: {error}"),
    }
}

/// Returns the `Host` field and the target of the request, the port, and whether TLS is used.
type Asked = (String, String, u16, bool);

fn asked(url: &str) -> Result<Asked, UrlError> {
    let to = prepared(url)?;
    let host = to.request.host().unwrap().to_owned();
    Ok((host, to.request.target().to_owned(), to.port, to.tls))
}

/// Checks that each of `urls` has this `Host` field, target and port.
fn lead(urls: &[(&str, &str, &str, u16)]) {
    for &(url, host, target, port) in urls {
        let tls = url.to_ascii_lowercase().starts_with("wss:");
        let expected = match tls && cfg!(not(feature = "tls")) {
            true => Err(UrlError::NoTls),
            false => Ok((host.to_owned(), target.to_owned(), port, tls)),
        };
        assert_eq!(asked(url), expected, "{url:.100}");
    }
}

#[test]
fn a_url_can_name_a_unix_socket() {
    for (url, socket, target) in [
        ("ws+unix:/run/a.sock", "/run/a.sock", "/"),
        ("ws+unix:/run/a.sock:/chat", "/run/a.sock", "/chat"),
        (
            "ws+unix:///run/a.sock:/chat?a=b:c",
            "/run/a.sock",
            "/chat?a=b:c",
        ),
        ("WS+UNIX:/a:/b c", "/a", "/b%20c"),
        ("ws+unix:/a:/b:/c", "/a", "/b:/c"),
    ] {
        let to = prepared(url).unwrap();
        assert_eq!(to.unix_path(), Some(Path::new(socket)), "{url}");
        assert_eq!(to.request.target(), target, "{url}");
        assert_eq!(to.request.host(), Some("localhost"), "{url}");
        assert!(!to.tls, "{url}");
    }
    for url in [
        "ws+unix:",
        "ws+unix:a.sock",
        "ws+unix://host/a.sock",
        "ws+unix://user@/a.sock",
        "ws+unix:/a.sock:",
        "ws+unix:/a.sock:chat",
        "ws+unix:/a.sock?q",
        "ws+unix:/a%20b",
        "ws+unix:/a b",
        "ws+unix:/a\\b",
        "ws+unix:/é",
    ] {
        assert_eq!(prepared(url).unwrap_err(), UrlError::SocketPath, "{url}");
    }
    assert_eq!(prepared("ws+unix:/a:/b#c").unwrap_err(), UrlError::Fragment);
    assert_eq!(
        prepared("ws+unix:/a:/b\n").unwrap_err(),
        UrlError::Character
    );
    assert_eq!(prepared("wss+unix:/a").unwrap_err(), UrlError::NoScheme);
    assert_eq!(prepared("ws://h/").unwrap().unix_path(), None);
}

#[test]
fn a_unix_socket_replaces_the_place_of_the_url_and_needs_no_proxy() {
    let to = Connect::new("ws://h:8080/").unix("relative path");
    let to = to.proxy("http://proxy.test:1").prepare().unwrap();
    assert_eq!(to.unix_path(), Some(Path::new("relative path")));
    assert_eq!(to.request.host(), Some("h:8080"));
    assert!(format!("{to:?}").contains("proxy: false"));
}

#[test]
fn urls_of_rfc_6455_s3() {
    let long = format!("/{}", "x".repeat(64 << 10));
    lead(&[
        ("ws://h", "h", "/", 80),
        ("wss://h", "h", "/", 443),
        ("WSS://H/P", "h", "/P", 443),
        // The default port is left out.
        ("ws://h:80/", "h", "/", 80),
        ("wss://h:443/", "h", "/", 443),
        ("ws://h:443/", "h:443", "/", 443),
        ("wss://h:80/", "h:80", "/", 80),
        ("ws://h:/", "h", "/", 80),
        ("ws://h:0080/", "h", "/", 80),
        ("ws://h:0/", "h:0", "/", 0),
        ("ws://h:65535/", "h:65535", "/", 65535),
        ("ws://h:8080/?", "h:8080", "/?", 8080),
        ("ws://h?q", "h", "/?q", 80),
        (
            "ws://h/a?b?c/d:@!$&()*+,;=-._~",
            "h",
            "/a?b?c/d:@!$&()*+,;=-._~",
            80,
        ),
        ("ws://h//a//", "h", "//a//", 80),
        ("ws://h/?to=ws://i/", "h", "/?to=ws://i/", 80),
        (&format!("ws://h{long}"), "h", &long, 80),
    ]);
}

#[test]
fn hosts() {
    lead(&[
        ("ws://LocalHost/", "localhost", "/", 80),
        ("ws://a-b_c.test./", "a-b_c.test.", "/", 80),
        ("ws://1.a/", "1.a", "/", 80),
        ("ws://0xg/", "0xg", "/", 80),
        ("ws://xn--9ca.test/", "xn--9ca.test", "/", 80),
        ("ws://127.0.0.1:9001/", "127.0.0.1:9001", "/", 9001),
        ("ws://[::1]/", "[::1]", "/", 80),
        ("ws://[::1]:80/", "[::1]", "/", 80),
        ("ws://[::1]:9001/", "[::1]:9001", "/", 9001),
        ("ws://[2001:DB8:0::F]/", "[2001:db8::f]", "/", 80),
    ]);
    let host = |url| prepared(url).unwrap().host;
    assert_eq!(host("ws://A.test/"), Host::Name("a.test".to_owned()));
    for address in ["127.0.0.1", "2001:db8::f"] {
        let address = address.parse::<IpAddr>().unwrap();
        let to = prepared(&format!("ws://{}:81/", Host::Addr(address))).unwrap();
        assert_eq!(to.host, Host::Addr(address));
        assert_eq!(to.addresses(), Some(vec![(address, 81).into()]));
    }
}

/// RFC 3986 §2.1, as browsers do it. Existing escapes are kept.
#[test]
fn what_a_path_or_a_query_may_not_have_is_escaped() {
    lead(&[
        ("ws://h/é?ü", "h", "/%C3%A9?%C3%BC", 80),
        ("ws://h/a b?c  d", "h", "/a%20b?c%20%20d", 80),
        (
            "ws://h/\u{a0}\u{fffe}\u{e000}?\u{2028}",
            "h",
            "/%C2%A0%EF%BF%BE%EE%80%80?%E2%80%A8",
            80,
        ),
        (
            "ws://h/a%20b%c3%A9%7e?%23%25",
            "h",
            "/a%20b%c3%A9%7e?%23%25",
            80,
        ),
        (
            "ws://h/\"<>[]^`{|}'",
            "h",
            "/%22%3C%3E%5B%5D%5E%60%7B%7C%7D'",
            80,
        ),
        (
            "ws://h/?\"<>[]^`{|}'\\",
            "h",
            "/?%22%3C%3E%5B%5D%5E%60%7B%7C%7D%27%5C",
            80,
        ),
    ]);
}

/// RFC 3986 §5.2.4.
#[test]
fn dots_in_a_path_are_removed() {
    lead(&[
        ("ws://h/a/../b/%2e%2E/c", "h", "/c", 80),
        ("ws://h/.", "h", "/", 80),
        ("ws://h/..", "h", "/", 80),
        ("ws://h/../../a", "h", "/a", 80),
        ("ws://h/a/b/..", "h", "/a/", 80),
        ("ws://h/a/b/.%2e/", "h", "/a/", 80),
        ("ws://h/a/./b/%2E", "h", "/a/b/", 80),
        ("ws://h/a//../b", "h", "/a/b", 80),
        ("ws://h/.../a%2eb/..a/a..", "h", "/.../a%2eb/..a/a..", 80),
        ("ws://h/?/../.", "h", "/?/../.", 80),
    ]);
}

/// Credentials in a URL (RFC 7617).
#[test]
fn credentials() {
    for (userinfo, sent) in [
        ("u:p", Some("Basic dTpw")),
        ("u", Some("Basic dTo=")),
        ("u:", Some("Basic dTo=")),
        (":p", Some("Basic OnA=")),
        ("u:p:q", Some("Basic dTpwOnE=")),
        (
            "Aladdin:open%20sesame",
            Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
        ),
        ("%C3%A9:%40", Some("Basic w6k6QA==")),
        ("é:!$&'()*+,;=", Some("Basic w6k6ISQmJygpKissOz0=")),
        ("", None),
        (":", None),
    ] {
        let to = prepared(&format!("ws://{userinfo}@h/")).unwrap();
        assert_eq!(to.request.host(), Some("h"), "{userinfo}");
        let field = to.request.headers().get("Authorization");
        assert_eq!(field, sent.map(str::as_bytes), "{userinfo}");
    }
    // RFC 7617 §2: neither may have control characters, and the user may have no colon.
    for userinfo in ["u%0d%0aX:p", "u:p%00", "a%3Ab:p"] {
        let to = Connect::new(format!("ws://{userinfo}@h/")).prepare();
        assert!(matches!(to, Err(ConnectError::Header(_))), "{to:?}");
    }
}

#[test]
fn what_no_url_of_a_websocket_is() {
    use UrlError::*;
    for (error, urls) in [
        (
            Fragment,
            &[
                "ws://h/#f",
                "ws://h/#",
                "ws://h#f",
                "ws://h/?q#f",
                "ws://u#@h/",
            ][..],
        ),
        (
            Scheme,
            &["http://h/", "https://h/#f", "file:///h", "wsx://h"],
        ),
        (
            NoScheme,
            &[
                "",
                "h",
                "h:80",
                "localhost:80",
                "h/p",
                "/p",
                "//h/p",
                "ws:",
                "ws:/h",
                "ws:h",
                "mailto:a@b",
                "://h",
                "h/?to=ws://i",
                "1://h",
                "w s://h",
                "é://h",
                "ws:\\\\h\\",
            ],
        ),
        (
            Character,
            &[
                " ws://h/",
                "ws://h/ ",
                " ",
                "ws://a b/",
                "ws://u p@h/",
                "ws://h :80/",
                "ws://h/\t",
                "ws://h/a\r\nb",
                "ws://h/?\0",
                "ws://h/\x7f",
                "\nws://h/",
            ],
        ),
        (
            UserInfo,
            &[
                "ws://a@b@h/",
                "ws://u:p^@h/",
                "ws://u%@h/",
                "ws://u%4@h/",
                "ws://[u]@h/",
            ],
        ),
        (
            Host,
            &[
                "ws://",
                "ws:///p",
                "ws://?q",
                "ws://:80/",
                "ws://u@/",
                "ws://u@:80/",
                "ws://[::1%25eth0]/",
                "ws://[::1%eth0]/",
                "ws://[::1/",
                "ws://::1/",
                "ws://[]/",
                "ws://[1.2.3.4]/",
                "ws://[v1.a]/",
                "ws://[1:2:3:4:5:6:7:8:9]/",
                "ws://a%00b/",
                "ws://a%2eb/",
                "ws://a%/",
                "ws://a<b/",
                "ws://a[b/",
                "ws://[::1]a/",
                "ws://a^b/",
                // These are addresses that parsers disagree about, and texts that are no address.
                "ws://127.1/",
                "ws://0x7f.1/",
                "ws://2130706433/",
                "ws://0177.0.0.1/",
                "ws://127.0.0.01/",
                "ws://1/",
                "ws://0x/",
                "ws://a.0xF/",
                "ws://a.1/",
                "ws://1.2.3.4.5/",
                "ws://256.0.0.1/",
                "ws://127.0.0.1./",
            ],
        ),
        (
            Port,
            &[
                "ws://h:65536/",
                "ws://h:x/",
                "ws://h:-1/",
                "ws://h:+1/",
                "ws://[::1]:x/",
                "ws://u@h:99999/",
            ],
        ),
        (
            Escape,
            &[
                "ws://h/100%",
                "ws://h/?a=%",
                "ws://h/%2",
                "ws://h/%zz",
                "ws://h/?%g0",
                "ws://h/a\\b",
                "ws://h\\p",
                "ws://a\\b:80/",
                "ws://u\\@h/",
                "ws://h:80\\p",
            ],
        ),
    ] {
        for url in urls {
            assert_eq!(asked(url), Err(error), "{url:?}");
        }
    }
}

/// With the feature `idna`, names are read as browsers read them.
#[test]
fn names_beyond_ascii() {
    for (name, ascii) in [
        ("é.test", "xn--9ca.test"),
        ("MÜNCHEN.test", "xn--mnchen-3ya.test"),
        ("faß.test", "xn--fa-hia.test"),
        ("日本。test", "xn--wgv71a.test"),
        // Full-width letters stand for those of ASCII.
        ("\u{ff41}.test", "a.test"),
    ] {
        let expected = match cfg!(feature = "idna") {
            true => Ok((ascii.to_owned(), "/".to_owned(), 80, false)),
            false => Err(UrlError::NoIdna),
        };
        assert_eq!(asked(&format!("ws://{name}/")), expected, "{name}");
    }
    for name in [
        "\u{ad}",
        "a\u{ff0f}b",
        "a\u{ff05}00b",
        "\u{ff11}.\u{ff12}",
        "\u{378}.test",
        "xn--9ca.xn--é",
        // This character becomes a brace.
        "a﹛b",
    ] {
        let expected = match cfg!(feature = "idna") {
            true => UrlError::Host,
            false => UrlError::NoIdna,
        };
        assert_eq!(asked(&format!("ws://{name}/")), Err(expected), "{name:?}");
    }
}

/// The error of a URL says what its author can do.
#[test]
fn an_error_says_what_to_write() {
    let says = |url, words: &str| {
        let error = Connect::new(url).prepare().unwrap_err().to_string();
        assert!(error.contains(words), "{url:?}: {error}");
    };
    says("localhost:80", "write ws://localhost:80");
    says("http://h/", "write ws:// for http://");
    says("ws://h/#f", "write %23 for #");
    says("ws://h/100%", "write %25 for %");
    says("ws://h/a\nb", "remove it");
    says("ws://a@b@h/", "write %40 for @");
    says("ws://127.1/", "an IPv4 address of four decimal numbers");
    says("ws://h:65536/", "up to 65535");
    if cfg!(not(feature = "idna")) {
        says("ws://é.test/", "turn on the feature `idna`");
    }
    if cfg!(not(feature = "tls")) {
        says("wss://h/", "turn on the feature `tls`");
    }
}
