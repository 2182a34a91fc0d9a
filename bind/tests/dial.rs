//! Trying the addresses of a server, in a world with its own clock.

use std::{
    cell::RefCell,
    convert::Infallible,
    future::{Pending, pending},
    io,
    net::{Ipv4Addr, SocketAddr},
    pin::Pin,
    rc::Rc,
    time::Duration,
};

use bowline_bind::{
    AnyTransport, Connect, ConnectError, Network, connect,
    proto::{Config, handshake::OfferError},
};
use testing::world::*;

const ANSWERS: u8 = 1;
const REFUSES: u8 = 2;
const BLACK_HOLE: u8 = 3;
/// It answers after a second.
const SLOW: u8 = 4;
/// It fails after a second.
const FAILS_LATE: u8 = 5;
/// Such a host has an IPv6 address.
const V6: u8 = 0x80;

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
    type Tcp = End;
    type Stream = End;
    type Resolving = Boxed<Vec<SocketAddr>>;
    type Connecting = Boxed<End>;
    type Other = Infallible;

    fn clock(&self) -> Clock {
        self.world.clock()
    }

    fn resolve(&self, host: String, port: u16) -> Self::Resolving {
        assert_eq!(host, "a.test");
        let addr = |&host: &u8| match host & V6 {
            0 => SocketAddr::from((Ipv4Addr::new(192, 0, 2, host), port)),
            _ => SocketAddr::from(([0x2001, 0xDB8, 0, 0, 0, 0, 0, (host & !V6).into()], port)),
        };
        let addrs = self.hosts.iter().map(addr).collect();
        let (world, naming) = (self.world.clone(), self.naming);
        Box::pin(async move {
            world.sleep(naming).await;
            Ok(addrs)
        })
    }

    fn stream(&self, tcp: End, _: &Config) -> End {
        tcp
    }

    fn other(&self, other: Self::Other, _: &Config) -> AnyTransport<Clock> {
        match other {}
    }

    fn connect(&self, addr: SocketAddr, _: bool, time: Option<Duration>) -> Self::Connecting {
        let host = match addr {
            SocketAddr::V4(addr) => addr.ip().octets()[3],
            SocketAddr::V6(addr) => addr.ip().octets()[15],
        };
        self.tried.borrow_mut().push((host, self.world.now(), time));
        let (end, _) = pipe(&self.world, 4096);
        let world = self.world.clone();
        match host {
            ANSWERS => Box::pin(async { Ok(end) }),
            SLOW => Box::pin(async move {
                world.sleep(secs(1)).await;
                Ok(end)
            }),
            FAILS_LATE => Box::pin(async move {
                world.sleep(secs(1)).await;
                Err(io::ErrorKind::HostUnreachable.into())
            }),
            REFUSES => Box::pin(async { Err(io::ErrorKind::ConnectionRefused.into()) }),
            _ => Box::pin(pending()),
        }
    }
}

impl Hosts {
    /// Returns the host that a connection was made to: one that answers at once, if such a one was tried.
    fn won(&self) -> u8 {
        let tried = self.tried.borrow();
        if tried.iter().any(|(host, ..)| *host == ANSWERS) {
            ANSWERS
        } else {
            SLOW
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
        let tried = hosts.tried.borrow().clone();
        match (error, tried.last()) {
            (ConnectError::Handshake(_), Some(_)) => (Ok(hosts.won()), tried),
            (error, _) => (Err(error), tried),
        }
    })
}

/// Resolves the name at once.
const NOW: Duration = Duration::ZERO;

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn the_next_address_is_tried_250_ms_after_one_that_does_not_answer() {
    let world = World::default();
    let hosts = [BLACK_HOLE, BLACK_HOLE, ANSWERS];
    let (result, tried) = dialled(&world, &hosts, NOW, Some(secs(9)));
    assert_eq!(result.unwrap(), ANSWERS);
    let expected = [
        (BLACK_HOLE, millis(0), Some(millis(9000))),
        (BLACK_HOLE, millis(250), Some(millis(8750))),
        (ANSWERS, millis(500), Some(millis(8500))),
    ];
    assert_eq!(tried, expected);
}

#[test]
fn the_next_address_is_tried_at_once_after_one_that_fails() {
    let world = World::default();
    let hosts = [REFUSES, BLACK_HOLE, ANSWERS];
    let (result, tried) = dialled(&world, &hosts, NOW, Some(secs(12)));
    assert_eq!(result.unwrap(), ANSWERS);
    let expected = [
        (REFUSES, millis(0), Some(secs(12))),
        (BLACK_HOLE, millis(0), Some(secs(12))),
        (ANSWERS, millis(250), Some(millis(11_750))),
    ];
    assert_eq!(tried, expected);
}

/// Connects with a resolver to a network that finds no name. Returns the error, and the hosts that were tried.
fn resolved<F>(
    world: &World,
    resolve: impl Fn(String, u16) -> F + Send + Sync + 'static,
) -> (ConnectError, Tried)
where
    F: Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static,
{
    let hosts = Hosts {
        world: world.clone(),
        hosts: Vec::new(),
        naming: secs(99),
        tried: RefCell::default(),
    };
    let config = config().handshake_timeout(secs(10));
    let to = Connect::new("ws://b.test:81/")
        .config(config)
        .resolver(resolve);
    world.block_on(async move {
        let error = connect(&hosts, to).await.map(drop).unwrap_err();
        let tried = hosts.tried.borrow().clone();
        (error, tried)
    })
}

#[test]
fn a_resolver_takes_the_place_of_the_system() {
    let host = |host| SocketAddr::from((Ipv4Addr::new(192, 0, 2, host), 81));
    let (error, tried) = resolved(&World::default(), move |name, port| async move {
        assert_eq!((&*name, port), ("b.test", 81));
        Ok(vec![host(REFUSES), host(ANSWERS)])
    });
    assert!(matches!(error, ConnectError::Handshake(_)), "{error:?}");
    let tried: Vec<_> = tried.iter().map(|(host, ..)| *host).collect();
    assert_eq!(tried, [REFUSES, ANSWERS]);
}

#[test]
fn a_resolver_may_fail_find_nothing_or_never_answer() {
    let (error, _) = resolved(&World::default(), |_, _| async {
        Err(io::Error::other("no such zone"))
    });
    assert!(matches!(&error, ConnectError::Io(why) if why.to_string() == "no such zone"));
    let (error, _) = resolved(&World::default(), |_, _| async { Ok(Vec::new()) });
    assert!(matches!(&error, ConnectError::Io(why) if why.kind() == io::ErrorKind::NotFound));
    let world = World::default();
    let (error, tried) = resolved(&world, |_, _| pending());
    assert!(matches!(error, ConnectError::TimedOut), "{error:?}");
    assert_eq!((world.now(), tried.len()), (secs(10), 0));
}

/// The address that answers is reached within 300 ms of its turn, wherever it stands.
#[test]
fn in_every_order_of_four_addresses_the_one_that_answers_is_reached() {
    let kinds = [ANSWERS, REFUSES, BLACK_HOLE, SLOW];
    for number in 0..kinds.len().pow(4) {
        let kind = |place: u32| kinds[number / kinds.len().pow(place) % kinds.len()];
        let hosts = [kind(0), kind(1), kind(2), kind(3)];
        let world = World::default();
        let (result, tried) = dialled(&world, &hosts, NOW, Some(secs(10)));
        let first = |wanted| hosts.iter().position(|host| *host == wanted);
        // Each address before costs 250 ms at the most, and one that is slow takes a second.
        let answers = first(ANSWERS).map(|place| 250 * place as u64);
        let slow = first(SLOW).map(|place| 250 * place as u64 + 1000);
        match answers.into_iter().chain(slow).min() {
            Some(latest) => {
                assert!(
                    matches!(result, Ok(ANSWERS | SLOW)),
                    "{hosts:?}: {result:?}"
                );
                assert!(
                    world.now() <= millis(latest),
                    "{hosts:?}: {:?}",
                    world.now()
                );
            }
            None if hosts == [REFUSES; 4] => {
                assert!(matches!(result, Err(ConnectError::Io(_))), "{result:?}");
                assert_eq!(world.now(), NOW);
            }
            None => {
                assert!(matches!(result, Err(ConnectError::TimedOut)), "{result:?}");
                assert_eq!((tried.len(), world.now()), (4, secs(10)));
            }
        }
    }
}

/// No more than four are tried at a time, and each of more has its turn before the deadline.
#[test]
fn the_ninth_of_nine_addresses_is_tried_although_none_answers() {
    let world = World::default();
    let mut hosts = [BLACK_HOLE; 9];
    hosts[8] = ANSWERS;
    let (result, tried) = dialled(&world, &hosts, NOW, Some(secs(9)));
    assert_eq!(result.unwrap(), ANSWERS);
    let times = tried.iter().map(|(_, at, _)| at.as_millis() as u64);
    let expected = [0, 250, 500, 750, 3000, 3250, 3500, 3750, 6000];
    assert_eq!(times.collect::<Vec<_>>(), expected);
}

#[test]
fn families_alternate_beginning_with_that_of_the_first() {
    let world = World::default();
    let hosts = [V6 | BLACK_HOLE, V6 | REFUSES, BLACK_HOLE, ANSWERS];
    let (result, tried) = dialled(&world, &hosts, NOW, Some(secs(10)));
    assert_eq!(result.unwrap(), ANSWERS);
    let order = tried.iter().map(|(host, ..)| *host);
    let expected = [BLACK_HOLE, BLACK_HOLE, REFUSES, ANSWERS];
    assert_eq!(order.collect::<Vec<_>>(), expected);
}

#[test]
fn without_an_answer_the_deadline_is_reported() {
    let world = World::default();
    let (result, tried) = dialled(&world, &[REFUSES, BLACK_HOLE], NOW, Some(secs(10)));
    assert!(matches!(result, Err(ConnectError::TimedOut)), "{result:?}");
    assert_eq!(tried[1], (BLACK_HOLE, secs(0), Some(secs(10))));
    assert_eq!(world.now(), secs(10));
}

#[test]
fn the_error_is_that_of_the_address_that_failed_last() {
    let world = World::default();
    let (result, _) = dialled(&world, &[FAILS_LATE, REFUSES], NOW, Some(secs(10)));
    match result {
        Err(ConnectError::Io(error)) => {
            assert_eq!(error.kind(), io::ErrorKind::HostUnreachable);
            assert!(error.to_string().starts_with("192.0.2."), "{error}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(world.now(), secs(1));
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
        (BLACK_HOLE, secs(4), Some(secs(6))),
        (BLACK_HOLE, millis(4250), Some(millis(5750))),
    ];
    assert_eq!(tried, expected);
    assert_eq!(world.now(), secs(10));
}

/// The name is not resolved, and is still the host of the request.
#[test]
fn the_addresses_of_the_caller_are_tried_instead_of_those_of_the_name() {
    let world = World::default();
    let net = Rc::new(Hosts {
        world: world.clone(),
        hosts: Vec::new(),
        naming: secs(3600),
        tried: RefCell::default(),
    });
    let addresses = [REFUSES, ANSWERS].map(|host| ([198, 51, 100, host], 81).into());
    let to = Connect::new("ws://a.test/")
        .config(config())
        .addresses(addresses);
    assert_eq!(to.clone().prepare().unwrap().request.host(), Some("a.test"));
    let network = net.clone();
    world.block_on(async move {
        connect(&*network, to).await.map(drop).unwrap_err();
    });
    let tried = net.tried.take();
    assert_eq!(
        tried.iter().map(|(host, ..)| *host).collect::<Vec<_>>(),
        [REFUSES, ANSWERS]
    );
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
    type Tcp = End;
    type Stream = End;
    type Resolving = Pending<io::Result<Vec<SocketAddr>>>;
    type Connecting = Pending<io::Result<End>>;
    type Other = Infallible;

    fn clock(&self) -> Clock {
        self.0.clock()
    }

    fn ready(&self) -> io::Result<()> {
        panic!("the network must not be used");
    }

    fn resolve(&self, _: String, _: u16) -> Self::Resolving {
        panic!("the network must not be used");
    }

    fn connect(&self, _: SocketAddr, _: bool, _: Option<Duration>) -> Self::Connecting {
        panic!("the network must not be used");
    }

    fn stream(&self, _: End, _: &Config) -> End {
        panic!("the network must not be used");
    }

    fn other(&self, other: Self::Other, _: &Config) -> AnyTransport<Clock> {
        match other {}
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
