//! Connects to a server of which some addresses are dead, on each binding and over real sockets. The times are in
//! `bind/tests/dial.rs`, in virtual time.
#![cfg(target_os = "linux")]

use std::{
    fs,
    io::ErrorKind,
    iter,
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use bind::{Connect, ConnectError, proto::Config};
use socket2::{Domain, Socket, Type};
use testing::held::{self, Held};

/// The time that connecting may take. The threads of the blocking binding end after it.
const DEADLINE: Duration = Duration::from_secs(3);

/// This is one test, because all tests of a process share its descriptors and threads.
#[test]
fn dead_addresses_are_passed_over_and_nothing_is_left() {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build().unwrap();
    let tokio = |to| runtime.block_on(bowline_tokio::connect(to)).map(drop);
    let smol = |to| smol::block_on(bowline_smol::connect(to)).map(drop);
    let blocking = |to| bowline_blocking::connect(to).map(drop);
    every_order("tokio", tokio);
    every_order("smol", smol);
    every_order("blocking", blocking);
    never_to_itself("tokio", tokio);
    never_to_itself("smol", smol);
    never_to_itself("blocking", blocking);
}

fn every_order(name: &str, connect: impl Fn(Connect) -> Result<(), ConnectError>) {
    let (_waiting, hole) = black_hole();
    let refused = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let good = listener.local_addr().unwrap();
    let orders = [
        [hole, refused, good],
        [hole, good, refused],
        [refused, hole, good],
        [refused, good, hole],
        [good, hole, refused],
        [good, refused, hole],
    ];
    let count = orders.len() + 1;
    let server = thread::spawn(move || {
        for _ in 0..count {
            let (stream, _) = listener.accept().unwrap();
            bowline_blocking::accept_any(stream, Config::default()).unwrap();
        }
    });
    let to = |addresses: &[SocketAddr]| {
        let config = Config::default().handshake_timeout(DEADLINE);
        let to = Connect::new("ws://a.test/").config(config);
        to.addresses(addresses.iter().copied())
    };
    // The first connection starts what stays, such as a reactor.
    connect(to(&[good])).unwrap();
    let before = Held::now();
    for order in orders {
        let began = Instant::now();
        connect(to(&order)).unwrap();
        let kinds = order.map(|addr| match addr {
            addr if addr == hole => "hole",
            addr if addr == good => "good",
            _ => "refused",
        });
        println!("{name}: {kinds:?} in {:?}", began.elapsed());
    }
    held::settle(&before, name);
    server.join().unwrap();
}

/// Nothing listens on a port from which the system makes outgoing connections. After some thousand attempts it picks that
/// port for the client's end, too, and TCP connects the client to itself.
fn never_to_itself(name: &str, connect: impl Fn(Connect) -> Result<(), ConnectError>) {
    /// The whole range would take half a minute.
    const ATTEMPTS: usize = 4000;
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
    // The system prefers ports of the same parity as the lowest.
    let lowest: u16 = range.split_whitespace().next().unwrap().parse().unwrap();
    let addr = SocketAddr::from(([127, 0, 0, 1], lowest + 4000));
    for attempt in 0..ATTEMPTS {
        let to = Connect::new("ws://a.test/").addresses([addr]);
        match connect(to) {
            Err(ConnectError::Io(error)) if error.kind() == ErrorKind::ConnectionRefused => {}
            other => panic!("{name}: attempt {attempt}: {other:?}"),
        }
    }
}

/// Returns an address that never answers, because its listener's queue is full for as long as the first value lives.
fn black_hole() -> (impl Sized, SocketAddr) {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    listener.bind(&any.into()).unwrap();
    listener.listen(0).unwrap();
    let addr = listener.local_addr().unwrap().as_socket().unwrap();
    let connect = || TcpStream::connect_timeout(&addr, Duration::from_millis(100));
    let waiting = iter::from_fn(|| connect().ok()).collect::<Vec<_>>();
    ((listener, waiting), addr)
}
