//! Connecting through proxies, in a world with its own clock. The proxies here are scripts; real ones are tested elsewhere.

use std::{
    cell::RefCell,
    convert::Infallible,
    io::{self, Read, Write},
    net::SocketAddr,
    pin::Pin,
    rc::Rc,
    sync::{Arc, Mutex},
    time::Duration,
};

use bowline_bind::{
    AnyTransport, Connect, ConnectError, Network, OptionalTls, Proxy, ProxyError, Transport,
    WebSocket, accept, accept_tls, connect, connect_over,
    proto::{Config, EntropyError, tunnel::SocksError},
    rustls::{ServerConfig, ServerConnection},
};
use testing::{certificates::Authority, world::*};

/// A network in which `proxy.test` is one machine, and no other name is found.
struct Net {
    world: World,
    /// The ends that are given out, one for each connection.
    ends: RefCell<Vec<End>>,
    /// The names and addresses that the network was asked for.
    asked: Rc<RefCell<Vec<String>>>,
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
        self.asked.borrow_mut().push(format!("resolve {host}"));
        Box::pin(async move { Ok(vec![([192, 0, 2, 7], port).into()]) })
    }

    fn connect(&self, addr: SocketAddr, _: bool, _: Option<Duration>) -> Self::Connecting {
        self.asked.borrow_mut().push(format!("connect {addr}"));
        let end = self.ends.borrow_mut().pop().expect("one more connection");
        Box::pin(async { Ok(end) })
    }

    fn stream(&self, tcp: End, _: &Config) -> End {
        tcp
    }

    fn other(&self, other: Self::Other, _: &Config) -> AnyTransport<Clock> {
        match other {}
    }
}

/// Reads until `is_whole`, and returns what came.
async fn read_until(world: &World, end: &End, is_whole: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut got = Vec::new();
    while !is_whole(&got) {
        world.sleep(Duration::from_millis(1)).await;
        got.extend(end.incoming.borrow_mut().drain());
    }
    got
}

/// The steps of a scripted proxy: the bytes that it reads, and those that it then answers.
type Script = Vec<(&'static [u8], &'static [u8])>;

/// Connects through a proxy that follows the script, and then is the server. Returns what was asked of the network, and how
/// it ended.
fn through(to: Connect, script: Script) -> (Vec<String>, Result<(), ConnectError>) {
    let world = World::default();
    let (near, far) = pipe(&world, 1 << 16);
    let asked = Rc::new(RefCell::new(Vec::new()));
    let net = Net {
        world: world.clone(),
        ends: RefCell::new(vec![near]),
        asked: asked.clone(),
    };
    let clock = world.clone();
    world.spawn_daemon(async move {
        let opens = script.last().is_some_and(|(_, answer)| !answer.is_empty());
        for (wanted, answer) in script {
            let got = read_until(&clock, &far, |got| got.len() >= wanted.len()).await;
            assert_eq!(
                String::from_utf8_lossy(&got),
                String::from_utf8_lossy(wanted)
            );
            far.outgoing.borrow_mut().push(answer);
        }
        if !opens {
            drop(far);
            return;
        }
        // From here on it is the server.
        let Ok(incoming) = accept(far, config()).await else {
            return;
        };
        assert!(
            incoming
                .request()
                .headers()
                .get("Proxy-Authorization")
                .is_none()
        );
        let mut server = incoming.open().await;
        while let Ok(Some(message)) = server.recv().await {
            server.feed(message).await.unwrap();
        }
    });
    let result = world.block_on(async move {
        let (mut client, _) = connect(&net, to).await?;
        client.send("through").await.unwrap();
        assert_eq!(client.recv().await.unwrap(), Some("through".into()));
        client.close(None).await.unwrap();
        Ok(())
    });
    let asked = asked.take();
    (asked, result)
}

fn to(proxy: impl Into<Proxy>) -> Connect {
    let config = config().handshake_timeout(Duration::from_secs(10));
    Connect::new("ws://server.test/")
        .config(config)
        .proxy(proxy)
}

const CONNECT: &[u8] = b"CONNECT server.test:80 HTTP/1.1\r\nHost: server.test:80\r\n\r\n";

#[test]
fn http_gets_the_name_of_the_server() {
    let (asked, result) = through(
        to("http://proxy.test:3128"),
        vec![(CONNECT, b"HTTP/1.1 200 OK\r\n\r\n")],
    );
    result.unwrap();
    assert_eq!(asked, ["resolve proxy.test", "connect 192.0.2.7:3128"]);
}

#[test]
fn credentials_and_fields_go_to_the_proxy_and_no_further() {
    let request = b"CONNECT server.test:80 HTTP/1.1\r\nHost: server.test:80\r\nX-A: 1\r\n\
        Proxy-Authorization: Basic YW5uOnB3\r\n\r\n";
    let answer = b"HTTP/1.1 200 OK\r\n\r\n";
    let in_url = Proxy::new("http://ann:p%77@192.0.2.9").header("X-A", "1");
    let apart = Proxy::new("http://192.0.2.9")
        .header("X-A", "1")
        .basic("ann", "pw");
    for proxy in [in_url, apart] {
        assert!(!format!("{proxy:?}").contains("pw"));
        let (asked, result) = through(to(proxy), vec![(request, answer)]);
        result.unwrap();
        assert_eq!(asked, ["connect 192.0.2.9:80"]);
    }
}

#[test]
fn socks5_gets_an_address_and_socks5h_the_name() {
    let greeting = (&b"\x05\x01\x00"[..], &b"\x05\x00"[..]);
    let answer = &b"\x05\x00\x00\x01\0\0\0\0\0\0"[..];
    let (asked, result) = through(
        to("socks5h://192.0.2.9"),
        vec![
            greeting,
            (b"\x05\x01\x00\x03\x0Bserver.test\x00\x50", answer),
        ],
    );
    result.unwrap();
    assert_eq!(asked, ["connect 192.0.2.9:1080"]);
    let (asked, result) = through(
        to("socks5://192.0.2.9"),
        vec![
            greeting,
            (b"\x05\x01\x00\x01\xC0\x00\x02\x07\x00\x50", answer),
        ],
    );
    result.unwrap();
    assert_eq!(asked, ["connect 192.0.2.9:1080", "resolve server.test"]);
    let given = to("socks5://192.0.2.9").addresses([([198, 51, 100, 1], 80).into()]);
    let script = vec![
        greeting,
        (b"\x05\x01\x00\x01\xC6\x33\x64\x01\x00\x50", answer),
    ];
    let (asked, result) = through(given, script);
    result.unwrap();
    assert_eq!(asked, ["connect 192.0.2.9:1080"]);
}

/// The network is asked for no name.
#[test]
fn a_resolver_gets_the_name_of_the_proxy_and_for_socks5_that_of_the_server() {
    let names = Arc::new(Mutex::new(Vec::new()));
    let resolver = |to: Connect| {
        let names = names.clone();
        to.resolver(move |name, port| {
            names.lock().unwrap().push(format!("{name}:{port}"));
            async move { Ok(vec![([192, 0, 2, 9], port).into()]) }
        })
    };
    let script = vec![
        (&b"\x05\x01\x00"[..], &b"\x05\x00"[..]),
        (
            b"\x05\x01\x00\x01\xC0\x00\x02\x09\x00\x50",
            b"\x05\x00\x00\x01\0\0\0\0\0\0",
        ),
    ];
    let (asked, result) = through(resolver(to("socks5://proxy.test")), script);
    result.unwrap();
    assert_eq!(asked, ["connect 192.0.2.9:1080"]);
    let script = vec![(CONNECT, &b"HTTP/1.1 200 OK\r\n\r\n"[..])];
    let (asked, result) = through(resolver(to("http://proxy.test")), script);
    result.unwrap();
    assert_eq!(asked, ["connect 192.0.2.9:80"]);
    let expected = ["proxy.test:1080", "server.test:80", "proxy.test:80"];
    assert_eq!(*names.lock().unwrap(), expected);
}

#[test]
fn a_refusal_of_either_kind_is_reported() {
    let (_, result) = through(
        to("http://192.0.2.9"),
        vec![(CONNECT, b"HTTP/1.1 407 No\r\nContent-Length: 3\r\n\r\nwhy")],
    );
    match result {
        Err(ConnectError::Proxy(ProxyError::Refused(response))) => {
            assert_eq!((response.status, &response.body[..]), (407, &b"why"[..]));
        }
        other => panic!("{other:?}"),
    }
    let greeting = (&b"\x05\x01\x00"[..], &b"\x05\x00"[..]);
    let refused = (
        &b"\x05\x01\x00\x03\x0Bserver.test\x00\x50"[..],
        &b"\x05\x05\x00\x01\0\0\0\0\0\0"[..],
    );
    let (_, result) = through(to("socks5h://192.0.2.9"), vec![greeting, refused]);
    let error = result.unwrap_err();
    assert!(
        matches!(
            error,
            ConnectError::Proxy(ProxyError::Socks(SocksError::Refused(5)))
        ),
        "{error:?}"
    );
    assert!(error.is_transient());
}

#[test]
fn a_proxy_that_ends_or_says_nothing_ends_at_the_one_deadline() {
    let (_, result) = through(to("http://192.0.2.9"), vec![(CONNECT, b"")]);
    let error = result.unwrap_err();
    assert!(
        matches!(error, ConnectError::Proxy(ProxyError::Handshake(_))),
        "{error:?}"
    );
    assert!(error.to_string().starts_with("the proxy failed"), "{error}");
    for scheme in ["http", "socks5h"] {
        let world = World::default();
        let (near, _far) = pipe(&world, 1 << 16);
        let net = world.clone();
        let proxy = to(format!("{scheme}://192.0.2.9"));
        let error =
            world.block_on(async move { connect_over(&net, |_| near, proxy).await.unwrap_err() });
        assert!(matches!(error, ConnectError::TimedOut), "{error:?}");
        assert_eq!(world.now(), Duration::from_secs(10), "{scheme}");
    }
}

/// The answer of the proxy may come together with what the server says, even with its response.
#[test]
fn what_the_server_says_after_the_answer_of_the_proxy_is_not_lost() {
    let world = World::default();
    let (near, far) = pipe(&world, 1 << 16);
    let net = world.clone();
    let clock = world.clone();
    world.spawn_daemon(async move {
        let _ = read_until(&clock, &far, |got| got.ends_with(b"\r\n\r\n")).await;
        let both = b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 403 No\r\nContent-Length: 3\r\n\r\nwhy";
        far.outgoing.borrow_mut().push(both);
        let _ = read_until(&clock, &far, |_| false).await;
    });
    let error = world.block_on(async move {
        connect_over(&net, |_| near, to("http://192.0.2.9"))
            .await
            .unwrap_err()
    });
    let response = error.response().expect("the response of the server");
    assert_eq!((response.status, &response.body[..]), (403, &b"why"[..]));
}

#[test]
fn the_transport_is_known_below_the_tunnel() {
    let world = World::default();
    let (mut near, far) = pipe(&world, 1 << 16);
    near.address = Some(([192, 0, 2, 9], 3128).into());
    let net = world.clone();
    let clock = world.clone();
    world.spawn_daemon(async move {
        let _ = read_until(&clock, &far, |got| got.ends_with(b"\r\n\r\n")).await;
        far.outgoing.borrow_mut().push(b"HTTP/1.1 200 OK\r\n\r\n");
        let mut server = accept(far, config()).await.unwrap().open().await;
        while let Ok(Some(_)) = server.recv().await {}
    });
    world.block_on(async move {
        let (mut client, _) = connect_over(&net, |_| near, to("http://192.0.2.9"))
            .await
            .unwrap();
        assert_eq!(client.peer_addr().unwrap(), ([192, 0, 2, 9], 3128).into());
        let stream = client.get_ref().unwrap();
        assert_eq!(stream.get_ref().unwrap().address, stream.peer_addr().ok());
        client.close(None).await.unwrap();
    });
}

#[test]
fn what_is_wrong_with_a_proxy_is_told_before_anything_is_done() {
    for url in [
        "",
        "proxy.test",
        "proxy.test:3128",
        "ftp://p",
        "http://",
        "http://p/x",
        "http://p?x",
        "http://p#x",
        "http://p:99999",
        "http://a b",
        "http://p\r\nX: y",
        "socks4://p",
        "http://user@:80",
    ] {
        let error = to(url).prepare().unwrap_err();
        assert!(
            matches!(error, ConnectError::Proxy(ProxyError::Url)),
            "{url}: {error:?}"
        );
    }
    let error = to(Proxy::new("http://p").header("X\r\n", "y"))
        .prepare()
        .unwrap_err();
    assert!(matches!(error, ConnectError::Header(_)), "{error:?}");
}

/// TLS with the server passes through the tunnel, and TLS with the proxy is around it.
#[test]
fn tls_runs_through_a_tunnel_and_in_tls() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let entropy = |bytes: &mut [u8]| {
        bytes.fill(0x5A);
        Ok::<_, EntropyError>(())
    };
    for scheme in ["http", "https"] {
        let world = World::default();
        // The client talks to the proxy, and the proxy to the server.
        let ((near, at_proxy), (from_proxy, far)) = (pipe(&world, 1 << 16), pipe(&world, 1 << 16));
        let server = Arc::new(ours.server(&["server.test"]));
        world.spawn(async move {
            let incoming = accept_tls(far, Some(server), config()).await.unwrap();
            let mut server: WebSocket<OptionalTls<End>> = incoming.open().await;
            while let Some(message) = server.recv().await.unwrap() {
                server.feed(message).await.unwrap();
            }
        });
        let tls = (scheme == "https").then(|| Arc::new(theirs.server(&["proxy.test"])));
        world.spawn_daemon(relay(world.clone(), at_proxy, from_proxy, tls));
        let config = Config::new(entropy);
        let proxy = Proxy::new(format!("{scheme}://proxy.test")).tls(theirs.client());
        let to = Connect::new("wss://server.test/").config(config);
        let to = to.root_pem(ours.pem()).proxy(proxy);
        let net = world.clone();
        world.block_on(async move {
            let (mut client, _) = connect_over(&net, |_| near, to).await.unwrap();
            for len in [1, 100_000] {
                client.send(vec![7; len]).await.unwrap();
                assert_eq!(client.recv().await.unwrap(), Some(vec![7; len].into()));
            }
            client.close(None).await.unwrap();
            assert!(client.closed().unwrap().clean);
        });
    }
}

/// A proxy that opens every tunnel. Its own TLS is rustls, driven by hand.
async fn relay(world: World, client: End, server: End, tls: Option<Arc<ServerConfig>>) {
    let mut tls = tls.map(|config| ServerConnection::new(config).unwrap());
    let (mut asked, mut is_open) = (Vec::new(), false);
    loop {
        world.sleep(Duration::from_millis(1)).await;
        let encrypted = client.incoming.borrow_mut().drain();
        let mut plain = Vec::new();
        match &mut tls {
            None => plain = encrypted,
            Some(tls) => {
                let mut encrypted = &encrypted[..];
                while !encrypted.is_empty() {
                    tls.read_tls(&mut encrypted).unwrap();
                    tls.process_new_packets().unwrap();
                    let _ = tls.reader().read_to_end(&mut plain);
                }
            }
        }
        let mut back = Vec::new();
        if is_open {
            server.outgoing.borrow_mut().push(&plain);
            back = server.incoming.borrow_mut().drain();
        } else {
            asked.extend(plain);
            if asked.ends_with(b"\r\n\r\n") {
                assert!(asked.starts_with(b"CONNECT server.test:443 HTTP/1.1\r\n"));
                is_open = true;
                back.extend(b"HTTP/1.1 200 OK\r\n\r\n");
            }
        }
        match &mut tls {
            None => client.outgoing.borrow_mut().push(&back),
            Some(tls) => {
                tls.writer().write_all(&back).unwrap();
                let mut out = Vec::new();
                while tls.wants_write() {
                    tls.write_tls(&mut out).unwrap();
                }
                client.outgoing.borrow_mut().push(&out);
            }
        }
    }
}

/// A process with these variables is this test once more.
#[test]
fn the_environment_names_the_proxy() {
    const CHILD: &str = "BOWLINE_PROXY_CHILD";
    let proxy = || to(Proxy::from_env());
    if std::env::var(CHILD).is_ok() {
        let answer = b"HTTP/1.1 200 OK\r\n\r\n";
        let (asked, result) = through(proxy(), vec![(CONNECT, answer)]);
        result.unwrap();
        assert_eq!(asked, ["resolve proxy.test", "connect 192.0.2.7:3128"]);
        let direct = Connect::new("ws://direct.test/").proxy(Proxy::from_env());
        assert!(format!("{:?}", direct.prepare().unwrap()).contains("proxy: false"));
        return;
    }
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_environment_names_the_proxy"])
        .env_clear()
        .env(CHILD, "1")
        .env("all_proxy", "proxy.test:3128")
        .env("no_proxy", "direct.test")
        .output()
        .unwrap();
    assert!(
        child.status.success(),
        "{}",
        String::from_utf8_lossy(&child.stdout)
    );
}

#[test]
fn a_function_chooses_the_proxy() {
    let chosen = Proxy::with(|host, port| {
        assert_eq!(port, 80);
        (host.to_string() == "server.test").then(|| Proxy::new("http://192.0.2.9"))
    });
    let answer = b"HTTP/1.1 200 OK\r\n\r\n";
    let (asked, result) = through(to(chosen.clone()), vec![(CONNECT, answer)]);
    result.unwrap();
    assert_eq!(asked, ["connect 192.0.2.9:80"]);
    let direct = Connect::new("ws://other.test/").proxy(chosen);
    assert!(format!("{:?}", direct.prepare().unwrap()).contains("proxy: false"));
}
