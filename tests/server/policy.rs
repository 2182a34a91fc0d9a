//! Who may open a socket, and what is agreed on.

use bind::{Connect, Server, proto::Config};
use bowline_blocking::connect;
use testing::certificates;

use crate::{
    SECOND, bindings::*, echoes, for_each_binding, get, limits::who, open, refused, server,
};

for_each_binding! {
    the_application_decides_who_may_open_a_socket,
    what_is_no_upgrade_is_answered_by_the_application,
    pages_of_listed_origins_may_connect,
    a_subprotocol_is_agreed_on,
    a_server_listens_at_several_places,
    a_client_shows_its_certificate,
    mistakes_in_the_options_are_told,
}

fn the_application_decides_who_may_open_a_socket<B: Binding>() {
    let mut config = Config::default();
    config.handshake_timeout = Some(SECOND / 2);
    let server = B::guarded(server::<B>(&Events::default()).config(config));
    let server = Running::<B>::start(server);
    let to =
        |target: &str, password: &str| Connect::new(server.url(target)).basic("Aladdin", password);
    assert_eq!(refused(server.url("/ws")).status, 401);
    assert_eq!(refused(to("/ws", "open barley")).status, 401);
    assert_eq!(refused(to("/nowhere", "open sesame")).status, 404);
    let (mut client, response) = connect(to("/ws", "open sesame")).unwrap();
    assert_eq!(response.headers.get("Set-Cookie"), Some(&b"lamp=1"[..]));
    echoes(&mut client);
    let known = who(to("/who?100", "open sesame"));
    assert!(known.contains("user: Some(\"Aladdin\")"), "{known}");
    assert_eq!(refused(to("/ws?panic", "open sesame")).status, 500);
    let late = refused(to("/ws?5000", "open sesame"));
    assert_eq!(late.status, 503);
    assert!(late.headers.get("Retry-After").is_some());
}

fn what_is_no_upgrade_is_answered_by_the_application<B: Binding>() {
    let server = server::<B>(&Events::default()).page("/", "text/plain", "a page");
    let server = Running::<B>::start(B::guarded(server));
    assert!(get(&server, "GET", "/").ends_with("a page"));
    assert!(get(&server, "GET", "/x?y").ends_with("you ask for /x?y"));
    assert!(get(&server, "GET", "/ws").starts_with("HTTP/1.1 426 "));
    let head = get(&server, "HEAD", "/x");
    assert!(
        head.contains("Content-Length: 14\r\n") && head.ends_with("\r\n\r\n"),
        "{head}"
    );
}

fn pages_of_listed_origins_may_connect<B: Binding>() {
    let from = |server: &Running<B>, origin: &str| {
        Connect::new(server.url("/ws")).origin(origin.to_owned())
    };
    let listed = server::<B>(&Events::default()).origins(["https://chat.example"]);
    let listed = Running::<B>::start(listed);
    echoes(&mut connect(from(&listed, "https://chat.example")).unwrap().0);
    let own = format!("http://{}", listed.addr);
    assert_eq!(refused(from(&listed, &own)).status, 403);
    let nobody = Running::<B>::start(server::<B>(&Events::default()).origins([""; 0]));
    let own = format!("http://{}", nobody.addr);
    assert_eq!(refused(from(&nobody, &own)).status, 403);
    let open = Running::<B>::start(server::<B>(&Events::default()).any_origin());
    echoes(&mut connect(from(&open, "https://evil.example")).unwrap().0);
}

fn a_subprotocol_is_agreed_on<B: Binding>() {
    let offers = |server: &Running<B>| {
        who(Connect::new(server.url("/who"))
            .subprotocol("v0")
            .subprotocol("v1")
            .subprotocol("v2"))
    };
    let client = server::<B>(&Events::default()).subprotocols(["v2", "v1"]);
    let client = Running::<B>::start(client);
    let known = offers(&client);
    assert!(known.contains("subprotocol: Some(\"v1\")"), "{known}");
    let own = server::<B>(&Events::default())
        .subprotocols(["v2", "v1"])
        .prefer_own_subprotocols();
    let known = offers(&Running::<B>::start(own));
    assert!(known.contains("subprotocol: Some(\"v2\")"), "{known}");
}

fn a_server_listens_at_several_places<B: Binding>() {
    let path = std::env::temp_dir().join(format!(
        "bowline-{}-{}",
        std::process::id(),
        std::any::type_name::<B>().rsplit(':').next().unwrap()
    ));
    let stale = std::os::unix::net::UnixListener::bind(&path).unwrap();
    drop(stale);
    let events = Events::default();
    let server = server::<B>(&events)
        .max_connections(3)
        .listen("127.0.0.1:0")
        .unwrap()
        .tls(certificates::shared().0)
        .listen_unix(&path)
        .unwrap();
    let secure = server.local_addrs()[1];
    let mut server = Running::<B>::start(server);
    let mut tcp = open(&server.url("/ws"));
    echoes(&mut tcp);
    let to = Connect::new(format!("wss://localhost:{}/ws", secure.port()));
    let (mut tls, _) = connect(to.tls(certificates::shared().1)).unwrap();
    echoes(&mut tls);
    let unix = || Connect::new("ws://a.test/ws").unix(&path);
    let (mut unix_client, _) = connect(unix()).unwrap();
    echoes(&mut unix_client);
    // The limit is one for all places.
    assert_eq!(refused(unix()).status, 503);
    assert_eq!(server.tracker.count(), 3);
    assert_eq!(events.count("opened nobody"), 1);
    let taken = Server::on(B::host()).listen_unix(&path).unwrap_err();
    assert_eq!(taken.kind(), std::io::ErrorKind::AddrInUse);
    drop(unix_client);
    crate::eventually("the slot is free", || server.tracker.count() == 2);
    let to = Connect::new(format!("wss://localhost:{}/who", secure.port()));
    let known = who(to.tls(certificates::shared().1));
    assert!(known.contains("secure: true"), "{known}");
    drop((tcp, tls));
    server.stop(5 * SECOND);
    drop(server);
    let _ = std::fs::remove_file(&path);
}

fn mistakes_in_the_options_are_told<B: Binding>() {
    for server in [
        server::<B>(&Events::default()).page("/", "a\nb", ""),
        server::<B>(&Events::default()).page("here", "text/plain", ""),
        Server::on(B::host()).tls(certificates::shared().0),
    ] {
        let error = B::serve(server).join().unwrap().unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput, "{error}");
    }
}

fn a_client_shows_its_certificate<B: Binding>() {
    let ours = certificates::Authority::new("ours");
    let server = server::<B>(&Events::default()).tls(ours.asking_server(&["localhost"]));
    let server = Running::<B>::start(server);
    let (chain, key) = ours.client_pem("ann");
    let to = Connect::new(format!("wss://localhost:{}/who", server.addr.port()))
        .root_pem(ours.pem())
        .client_pem(chain, key);
    let known = who(to);
    assert!(known.contains("certificates: 1"), "{known}");
}
