//! Connects to a server of which some addresses are dead, on each binding and over real sockets. The times are in
//! `bind/tests/dial.rs`, in virtual time.
#![cfg(target_os = "linux")]

use std::{
    iter,
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use bind::{Connect, ConnectError, proto::Config};
use socket2::{Domain, Socket, Type};

#[path = "../scale/held.rs"]
mod held;

use held::Held;

/// The time that connecting may take. The threads of the blocking binding end after it.
const DEADLINE: Duration = Duration::from_secs(3);

/// This is one test, because all tests of a process share its descriptors and threads.
#[test]
fn the_good_address_is_reached_in_every_order_and_nothing_is_left() {
    let tokio = |to| {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().build().unwrap();
        runtime.block_on(bowline_tokio::connect(to)).map(drop)
    };
    let smol = |to| smol::block_on(bowline_smol::connect(to)).map(drop);
    let blocking = |to| bowline_blocking::connect(to).map(drop);
    every_order("tokio", tokio);
    every_order("smol", smol);
    every_order("blocking", blocking);
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
