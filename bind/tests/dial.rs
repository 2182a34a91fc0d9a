//! Trying the addresses of a server, in a world with its own clock.

use std::{
    cell::RefCell,
    future::{Pending, pending},
    io,
    net::{Ipv4Addr, SocketAddr},
    pin::Pin,
    time::Duration,
};

use bowline_bind::{
    Connect, ConnectError, Network, connect,
    proto::{Config, handshake::OfferError},
};
use testing::world::*;

const ANSWERS: u8 = 1;
const REFUSES: u8 = 2;
const BLACK_HOLE: u8 = 3;

/// The addresses that were tried, when, and for how long each might take.
type Tried = Vec<(u8, Duration, Option<Duration>)>;

/// A network in which the last part of an address says what its host does. A host that answers closes at once.
struct Hosts {
    world: World,
    hosts: Vec<u8>,
    /// The time that resolving the name takes.
    naming: Duration,
    tried: RefCell<Tried>,
}

type Boxed<T> = Pin<Box<dyn Future<Output = io::Result<T>>>>;

impl Network for Hosts {
    type Clock = Clock;
    type Stream = End;
    type Resolving = Boxed<Vec<SocketAddr>>;
    type Connecting = Boxed<End>;

    fn clock(&self) -> Clock {
        self.world.clock()
    }

    fn resolve(&self, host: String, port: u16) -> Self::Resolving {
        assert_eq!(host, "a.test");
        let addr = |&host: &u8| SocketAddr::from((Ipv4Addr::new(192, 0, 2, host), port));
        let addrs = self.hosts.iter().map(addr).collect();
        let (world, naming) = (self.world.clone(), self.naming);
        Box::pin(async move {
            world.sleep(naming).await;
            Ok(addrs)
        })
    }

    fn connect(
        &self,
        addr: SocketAddr,
        _: bool,
        _: &Config,
        time: Option<Duration>,
    ) -> Self::Connecting {
        let SocketAddr::V4(addr) = addr else { panic!() };
        let host = addr.ip().octets()[3];
        self.tried.borrow_mut().push((host, self.world.now(), time));
        let (end, _) = pipe(&self.world, 4096);
        match host {
            ANSWERS => Box::pin(async { Ok(end) }),
            REFUSES => Box::pin(async { Err(io::ErrorKind::ConnectionRefused.into()) }),
            _ => Box::pin(pending()),
        }
    }
}

/// Connects to `hosts` within `timeout` after the name is resolved. Returns the host that answered.
fn dialled(
    world: &World,
    hosts: &[u8],
    naming: Duration,
    timeout: Option<Duration>,
) -> (Result<u8, ConnectError>, Tried) {
    let hosts = Hosts {
        world: world.clone(),
        hosts: hosts.into(),
        naming,
        tried: RefCell::default(),
    };
    let mut config = config();
    config.handshake_timeout = timeout;
    let to = Connect::new("ws://a.test/").config(config);
    world.block_on(async move {
        let error = connect(&hosts, to).await.map(drop).unwrap_err();
        let tried = hosts.tried.take();
        match (error, tried.last()) {
            (ConnectError::Handshake(_), Some((host, ..))) => (Ok(*host), tried),
            (error, _) => (Err(error), tried),
        }
    })
}

/// Resolves the name at once.
const NOW: Duration = Duration::ZERO;

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

#[test]
fn an_address_that_does_not_answer_leaves_time_for_the_others() {
    let world = World::default();
    let hosts = [BLACK_HOLE, BLACK_HOLE, ANSWERS];
    let (result, tried) = dialled(&world, &hosts, NOW, Some(secs(9)));
    assert_eq!(result.unwrap(), ANSWERS);
    let expected = [
        (BLACK_HOLE, secs(0), Some(secs(3))),
        (BLACK_HOLE, secs(3), Some(secs(3))),
        (ANSWERS, secs(6), Some(secs(3))),
    ];
    assert_eq!(tried, expected);
}

#[test]
fn an_address_that_fails_at_once_leaves_its_time_to_the_others() {
    let world = World::default();
    let hosts = [REFUSES, BLACK_HOLE, ANSWERS];
    let (result, tried) = dialled(&world, &hosts, NOW, Some(secs(12)));
    assert_eq!(result.unwrap(), ANSWERS);
    let expected = [
        (REFUSES, secs(0), Some(secs(4))),
        (BLACK_HOLE, secs(0), Some(secs(6))),
        (ANSWERS, secs(6), Some(secs(6))),
    ];
    assert_eq!(tried, expected);
}

#[test]
fn the_last_address_gets_all_that_is_left() {
    let world = World::default();
    let (result, tried) = dialled(&world, &[REFUSES, BLACK_HOLE], NOW, Some(secs(10)));
    assert!(matches!(result, Err(ConnectError::TimedOut)), "{result:?}");
    assert_eq!(tried[1], (BLACK_HOLE, secs(0), Some(secs(10))));
    assert_eq!(world.now(), secs(10));
}

#[test]
fn the_error_is_that_of_the_last_address() {
    let world = World::default();
    let (result, _) = dialled(&world, &[BLACK_HOLE, REFUSES], NOW, Some(secs(10)));
    match result {
        Err(ConnectError::Io(error)) => assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused),
        other => panic!("{other:?}"),
    }
    assert_eq!(world.now(), secs(5));
    match dialled(&world, &[], NOW, Some(secs(10))).0 {
        Err(ConnectError::Io(error)) => assert_eq!(error.kind(), io::ErrorKind::NotFound),
        other => panic!("{other:?}"),
    }
}

#[test]
fn without_a_deadline_each_address_takes_as_long_as_the_system_lets_it() {
    let world = World::default();
    let (result, tried) = dialled(&world, &[REFUSES, ANSWERS], NOW, None);
    assert_eq!(result.unwrap(), ANSWERS);
    assert_eq!(tried[0], (REFUSES, secs(0), None));
}

#[test]
fn what_was_spent_on_the_name_is_not_there_for_the_addresses() {
    let world = World::default();
    let (result, tried) = dialled(&world, &[BLACK_HOLE; 2], secs(4), Some(secs(10)));
    assert!(matches!(result, Err(ConnectError::TimedOut)), "{result:?}");
    let expected = [
        (BLACK_HOLE, secs(4), Some(secs(3))),
        (BLACK_HOLE, secs(7), Some(secs(3))),
    ];
    assert_eq!(tried, expected);
    assert_eq!(world.now(), secs(10));
}

#[test]
fn the_name_the_address_and_the_opening_handshake_have_one_deadline() {
    let world = World::default();
    let (result, tried) = dialled(&world, &[ANSWERS], secs(30), Some(secs(10)));
    assert!(matches!(result, Err(ConnectError::TimedOut)), "{result:?}");
    assert_eq!((tried, world.now()), (Tried::new(), secs(10)));
}

/// A network that must not be used.
struct Idle(World);

impl Network for Idle {
    type Clock = Clock;
    type Stream = End;
    type Resolving = Pending<io::Result<Vec<SocketAddr>>>;
    type Connecting = Pending<io::Result<End>>;

    fn clock(&self) -> Clock {
        self.0.clock()
    }

    fn ready(&self) -> io::Result<()> {
        panic!("the network must not be used");
    }

    fn resolve(&self, _: String, _: u16) -> Self::Resolving {
        panic!("the network must not be used");
    }

    fn connect(&self, _: SocketAddr, _: bool, _: &Config, _: Option<Duration>) -> Self::Connecting {
        panic!("the network must not be used");
    }
}

#[test]
fn what_the_caller_did_wrong_is_told_before_anything_is_done() {
    let world = World::default();
    let net = Idle(world.clone());
    world.block_on(async move {
        let to = Connect::new("ws://a.test/").config(config());
        let to = to.header("Upgrade", "h2c");
        let error = connect(&net, to).await.unwrap_err();
        assert!(
            matches!(error, ConnectError::Request(OfferError::Reserved(_))),
            "{error:?}"
        );
    });
}
