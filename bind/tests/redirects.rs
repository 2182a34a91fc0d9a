//! Redirects and cookies, in a world with its own clock.

use std::{
    cell::RefCell,
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::Pin,
    rc::Rc,
    sync::{Arc, Mutex},
    time::Duration,
};

use bowline_bind::{
    AnyTransport, Connect, ConnectError, CookieStore, Network, ProxyError, connect,
    proto::{Config, handshake::HandshakeError},
};
use testing::world::*;

/// A network whose servers answer one after the other, each once. `None` opens the connection.
struct Net {
    world: World,
    answers: RefCell<Vec<Option<String>>>,
    /// The names that were resolved, and the requests that came.
    seen: Rc<RefCell<Vec<String>>>,
    /// The time that an answer takes.
    answering: Duration,
}

type Boxed<T> = Pin<Box<dyn Future<Output = io::Result<T>>>>;

impl Network for Net {
    type Clock = Clock;
    type Tcp = End;
    type Stream = End;
    type Resolving = Boxed<Vec<SocketAddr>>;
    type Connecting = Boxed<End>;
    type Other = Infallible;

    fn clock(&self) -> Clock {
        self.world.clock()
    }

    fn resolve(&self, host: String, port: u16) -> Self::Resolving {
        self.seen.borrow_mut().push(format!("{host}:{port}"));
        Box::pin(async move { Ok(vec![([192, 0, 2, 1], port).into()]) })
    }

    fn connect(&self, _: SocketAddr, _: bool, _: Option<Duration>) -> Self::Connecting {
        let (near, far) = pipe(&self.world, 1 << 16);
        let answer = self.answers.borrow_mut().remove(0);
        let (world, seen) = (self.world.clone(), self.seen.clone());
        let answering = self.answering;
        self.world.spawn_daemon(async move {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                world.sleep(Duration::from_millis(1)).await;
                request.extend(far.incoming.borrow_mut().drain());
            }
            let request = String::from_utf8(request).unwrap();
            seen.borrow_mut().push(request);
            world.sleep(answering).await;
            match answer {
                Some(answer) => far.outgoing.borrow_mut().push(answer.as_bytes()),
                // It is enough to know that the request came.
                None => far.outgoing.borrow_mut().push(b"HTTP/1.1 418 Here\r\n\r\n"),
            }
            drop(far);
        });
        Box::pin(async { Ok(near) })
    }

    fn stream(&self, tcp: End, _: &Config) -> End {
        tcp
    }

    fn other(&self, other: Self::Other, _: &Config) -> AnyTransport<Clock> {
        match other {}
    }
}

fn to(location: &str) -> Option<String> {
    Some(format!(
        "HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
    ))
}

/// Returns the status of the last response, and what the network has seen.
fn follow(connect_to: Connect, answers: Vec<Option<String>>) -> (u16, Vec<String>) {
    match run(connect_to, answers) {
        (ConnectError::Handshake(HandshakeError::Refused(response)), seen) => {
            (response.status, seen)
        }
        (error, _) => panic!("{error:?}"),
    }
}

/// Returns the error, and what the network has seen.
fn run(connect_to: Connect, answers: Vec<Option<String>>) -> (ConnectError, Vec<String>) {
    let world = World::default();
    let seen = Rc::new(RefCell::new(Vec::new()));
    let net = Net {
        world: world.clone(),
        answers: RefCell::new(answers),
        seen: seen.clone(),
        answering: Duration::ZERO,
    };
    let error =
        world.block_on(async move { connect(&net, connect_to).await.map(drop).unwrap_err() });
    (error, seen.take())
}

fn start() -> Connect {
    let config = config().handshake_timeout(Duration::from_secs(10));
    Connect::new("ws://u:p@a.test/one?q")
        .config(config)
        .header("X-Key", "s3cr3t")
        .origin("http://o.test")
}

const ARRIVED: u16 = 418;

#[test]
fn redirects_are_followed_only_if_that_is_asked_for() {
    let (status, seen) = follow(start(), vec![to("/two")]);
    assert_eq!((status, seen.len()), (302, 2));
    let (status, _) = follow(start().redirects(1), vec![to("/two"), None]);
    assert_eq!(status, ARRIVED);
    let (status, seen) = follow(start().redirects(2), vec![to("/2"), to("/3"), to("/4")]);
    assert_eq!(
        (status, seen.len()),
        (302, 6),
        "the third redirect is not followed"
    );
}

#[test]
fn each_status_of_a_redirect_is_one_and_no_other_is() {
    for (status, followed) in [
        (300, false),
        (301, true),
        (303, true),
        (304, false),
        (307, true),
        (308, true),
        (200, false),
    ] {
        let answer = to("/two").unwrap().replace("302", &status.to_string());
        let (last, _) = follow(start().redirects(9), vec![Some(answer), None]);
        assert_eq!(last, if followed { ARRIVED } else { status });
    }
}

/// A relative reference is resolved against the URL; a fragment is for browsers.
#[test]
fn the_location_is_resolved_against_the_url() {
    for (location, target, host) in [
        ("/two", "/two", "a.test"),
        ("two?x#y", "/two?x", "a.test"),
        ("?x", "/one?x", "a.test"),
        ("//b.test:81/two", "/two", "b.test:81"),
        ("http://b.test/two", "/two", "b.test"),
        ("HTTP://b.test", "/", "b.test"),
        ("ws://b.test/a/../two", "/two", "b.test"),
    ] {
        let (status, seen) = follow(start().redirects(1), vec![to(location), None]);
        assert_eq!(status, ARRIVED, "{location}");
        let request = seen.last().unwrap();
        assert!(
            request.starts_with(&format!("GET {target} HTTP/1.1\r\n")),
            "{location}: {request}"
        );
        assert!(
            request.contains(&format!("\r\nHost: {host}\r\n")),
            "{location}: {request}"
        );
    }
}

#[test]
fn rfc3986_s5_4_the_examples_of_relative_references() {
    let examples = "g /b/c/g|./g /b/c/g|g/ /b/c/g/|/g /g|?y /b/c/d;p?y|g?y /b/c/g?y|#s /b/c/d;p?q|g#s /b/c/g|\
        g?y#s /b/c/g?y|;x /b/c/;x|g;x /b/c/g;x|g;x?y#s /b/c/g;x?y|. /b/c/|./ /b/c/|.. /b/|../ /b/|../g /b/g|../.. /|\
        ../../ /|../../g /g|../../../g /g|../../../../g /g|/./g /g|/../g /g|g. /b/c/g.|.g /b/c/.g|g.. /b/c/g..|\
        ..g /b/c/..g|./../g /b/g|./g/. /b/c/g/|g/./h /b/c/g/h|g/../h /b/c/h|g;x=1/./y /b/c/g;x=1/y|\
        g;x=1/../y /b/c/y|g?y/./x /b/c/g?y/./x|g?y/../x /b/c/g?y/../x|g#s/./x /b/c/g|g#s/../x /b/c/g";
    for example in examples.split('|') {
        let (reference, target) = example.split_once(' ').unwrap();
        let base = Connect::new("ws://a/b/c/d;p?q").config(config());
        let (status, seen) = follow(base.redirects(1), vec![to(reference), None]);
        assert_eq!(status, ARRIVED, "{example}");
        let line = format!("GET {target} HTTP/1.1\r\n");
        assert!(seen[3].starts_with(&line), "{example}: {}", seen[3]);
    }
}

/// Every `Location` is followed to a valid request, or is returned.
#[test]
fn no_location_breaks_the_request() {
    let parts = [
        "http:", "https:", "wss:", "//", "/", "..", ".", "a.test", "b.test", ":", "80", "99999",
        "@", "u", "?", "#", "%", "%41", "%zz", "[", "]", "::1", "\\", " ", "\t", "\u{e4}",
        "\u{202e}", "\u{0}", ";", "\"", "<",
    ];
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut followed = 0;
    for _ in 0..3000 {
        let mut location = String::new();
        for _ in 0..1 + state % 7 {
            // Xorshift.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            location.push_str(parts[(state % parts.len() as u64) as usize]);
        }
        let (_, seen) = run(start().redirects(1), vec![to(&location), None]);
        let Some(request) = seen.get(3) else { continue };
        followed += 1;
        let (line, fields) = request.split_once("\r\n").unwrap();
        assert!(line.starts_with("GET /"), "{location:?}: {line}");
        assert_eq!(line.split(' ').count(), 3, "{location:?}: {line}");
        assert!(
            line.bytes()
                .all(|byte| byte.is_ascii_graphic() || byte == b' ')
        );
        let is_same = seen[2] == "a.test:80";
        assert_eq!(
            is_same,
            fields.contains("s3cr3t"),
            "{location:?}: {request}"
        );
    }
    assert!(followed > 500, "only {followed} were followed");
}

#[test]
fn fields_origin_and_credentials_stay_with_their_server() {
    let private = [
        "X-Key: s3cr3t",
        "Origin: http://o.test",
        "Authorization: Basic dTpw",
    ];
    let (_, seen) = follow(start().redirects(1), vec![to("/two"), None]);
    for field in private {
        assert!(
            seen[3].contains(field),
            "{field} is for the same server: {}",
            seen[3]
        );
    }
    let elsewhere = start()
        .redirects(2)
        .bearer("token")
        .addresses([([198, 51, 100, 1], 80).into()]);
    for (start, location) in [
        (start().redirects(1), "http://b.test/"),
        (start().redirects(1), "ws://a.test:81/"),
        (elsewhere, "//b.test/"),
    ] {
        let (status, seen) = follow(start, vec![to(location), None]);
        assert_eq!(status, ARRIVED);
        let request = seen.last().unwrap();
        for field in ["s3cr3t", "Origin", "Authorization"] {
            assert!(!request.contains(field), "{location}: {request}");
        }
        assert!(
            seen[seen.len() - 2].ends_with(":80") || seen[seen.len() - 2].ends_with(":81"),
            "its name is resolved"
        );
    }
    // Once away, nothing comes back with a redirect to where it began.
    let (_, seen) = follow(
        start().redirects(2),
        vec![to("//b.test/"), to("//a.test/"), None],
    );
    assert!(!seen.last().unwrap().contains("s3cr3t"));
}

#[test]
fn what_leads_nowhere_is_the_error_of_the_response() {
    for location in [
        "ftp://b.test/",
        "file:///etc/passwd",
        "http://",
        "mailto:a@b",
        "http://u:p@b.test/",
        "http://b.test:99999/",
        "http://a b/",
        "/%zz",
    ] {
        let (status, seen) = follow(start().redirects(9), vec![to(location)]);
        assert_eq!((status, seen.len()), (302, 2), "{location:?}");
    }
    let without = Some("HTTP/1.1 302 Found\r\n\r\n".to_owned());
    assert_eq!(follow(start().redirects(9), vec![without]).0, 302);
}

#[test]
fn a_loop_ends_after_the_number_of_redirects() {
    let answers = || (0..21).map(|_| to("/one?q")).collect();
    let (status, seen) = follow(start().redirects(20), answers());
    assert_eq!((status, seen.len()), (302, 42));
    // An empty reference is the URL itself.
    let (status, seen) = follow(start().redirects(2), vec![to(""), to(""), to("")]);
    assert_eq!((status, seen.len()), (302, 6));
}

#[test]
fn redirects_have_the_deadline_of_one_connection() {
    let world = World::default();
    let net = Net {
        world: world.clone(),
        answers: RefCell::new((0..99).map(|_| to("/one?q")).collect()),
        seen: Rc::default(),
        answering: Duration::from_secs(1),
    };
    let to = start().redirects(98);
    let started = world.now();
    let error = world.block_on(async move { connect(&net, to).await.map(drop).unwrap_err() });
    assert!(matches!(error, ConnectError::TimedOut), "{error:?}");
    assert_eq!(world.now() - started, Duration::from_secs(10));
}

/// RFC 6455 §4.1: the key "MUST be selected randomly for each connection".
#[test]
fn each_request_has_a_key_of_its_own() {
    let random = start().config(Config::default());
    let (_, seen) = follow(random.redirects(1), vec![to("/two"), None]);
    let key = |request: &str| {
        let (_, from_key) = request.split_once("Sec-WebSocket-Key: ").unwrap();
        from_key.split("\r\n").next().unwrap().to_owned()
    };
    assert_ne!(key(&seen[1]), key(&seen[3]));
}

/// A proxy could lead anywhere with a redirect that looks like one of the server.
#[test]
fn a_redirect_of_a_proxy_is_not_followed() {
    let to_elsewhere = to("http://b.test/").unwrap() + "Set-Cookie: a=b\r\n";
    let jar = Arc::new(Jar::default());
    let start = start().redirects(9).cookies(jar.clone());
    let (error, seen) = run(start.proxy("http://p.test"), vec![Some(to_elsewhere)]);
    let ConnectError::Proxy(ProxyError::Refused(response)) = error else {
        panic!("{error:?}")
    };
    assert_eq!((response.status, seen.len()), (302, 2));
    assert!(jar.set.lock().unwrap().is_empty());
}

/// Has the URLs that were asked about, and what was set.
#[derive(Default)]
struct Jar {
    asked: Mutex<Vec<String>>,
    set: Mutex<Vec<(String, String)>>,
    value: Option<&'static str>,
}

impl CookieStore for Jar {
    fn cookies(&self, url: &str) -> Option<String> {
        self.asked.lock().unwrap().push(url.to_owned());
        self.value.map(str::to_owned)
    }

    fn set_cookie(&self, url: &str, set_cookie: &[u8]) {
        let value = String::from_utf8_lossy(set_cookie).into_owned();
        self.set.lock().unwrap().push((url.to_owned(), value));
    }
}

/// Returns the answer with a field that comes before the others.
fn with(answer: Option<String>, field: &str) -> Option<String> {
    answer.map(|answer| answer.replacen("\r\n", &format!("\r\n{field}\r\n"), 1))
}

#[test]
fn the_store_is_asked_about_each_url_and_gets_each_cookie() {
    let jar = Arc::new(Jar {
        value: Some("a=1; b=2"),
        ..Jar::default()
    });
    let first = with(
        with(to("http://b.test:81/two"), "Set-Cookie: c=3"),
        "set-cookie: d=4",
    );
    let refusal = Some("HTTP/1.1 401 No\r\nSet-Cookie: e=5\r\n\r\n".to_owned());
    let (status, seen) = follow(
        start().redirects(9).cookies(jar.clone()),
        vec![first, refusal],
    );
    assert_eq!(status, 401);
    for request in [&seen[1], &seen[3]] {
        assert_eq!(request.matches("Cookie: a=1; b=2\r\n").count(), 1);
    }
    let (one, two) = ("http://a.test/one?q", "http://b.test:81/two");
    assert_eq!(*jar.asked.lock().unwrap(), [one, two]);
    let set = jar.set.lock().unwrap();
    let set: Vec<_> = set.iter().map(|(url, value)| (&**url, &**value)).collect();
    assert_eq!(set, [(one, "d=4"), (one, "c=3"), (two, "e=5")]);
}

/// RFC 6265 §5.4: "the user agent MUST NOT attach more than one Cookie header field".
#[test]
fn there_is_one_cookie_field() {
    let jar = || {
        Arc::new(Jar {
            value: Some("a=1"),
            ..Jar::default()
        })
    };
    let (_, seen) = follow(
        start().header("cookie", "mine=1").cookies(jar()),
        vec![None],
    );
    assert!(seen[1].contains("mine=1"));
    assert!(!seen[1].contains("a=1"));
    let (_, seen) = follow(start().cookies(Arc::new(Jar::default())), vec![None]);
    assert!(!seen[1].to_lowercase().contains("cookie"));
}

/// A store that returns the end of a line must not be able to add a field.
#[test]
fn a_cookie_that_is_not_a_field_value_is_an_error_of_the_caller() {
    let jar = Jar {
        value: Some("a=1\r\nX: y"),
        ..Jar::default()
    };
    let (error, seen) = run(start().cookies(Arc::new(jar)), Vec::new());
    assert!(matches!(error, ConnectError::Header(_)), "{error:?}");
    assert!(seen.is_empty());
}

#[test]
fn a_thousand_cookies_and_a_location_of_10_kb_exceed_the_limits_of_the_handshake() {
    let cookies = "Set-Cookie: a=b\r\n".repeat(1000);
    let jar = Arc::new(Jar::default());
    let answer = with(to("/two"), cookies.trim_end());
    let (error, _) = run(start().redirects(9).cookies(jar.clone()), vec![answer]);
    assert!(error.response().is_none(), "{error:?}");
    assert!(jar.set.lock().unwrap().is_empty());
    let (error, _) = run(
        start().redirects(9),
        vec![to(&format!("/{}", "a".repeat(10_240)))],
    );
    assert!(error.to_string().contains("line"), "{error}");
}
