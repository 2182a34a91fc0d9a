//! The addresses of a server, tried in a world with its own clock.

mod support;

use std::{
    cell::RefCell,
    future::pending,
    io,
    net::{Ipv4Addr, SocketAddr},
    rc::Rc,
    time::Duration,
};

use bowline_bind::{Connect, ConnectError, Timer, connect, dial};
use support::*;

const ANSWERS: u8 = 1;
const REFUSES: u8 = 2;
const BLACK_HOLE: u8 = 3;

/// What was tried, when, and how long it was to take.
type Tried = Vec<(u8, Duration, Option<Duration>)>;

/// Dials `hosts`, by the clock of `world`, within `timeout`.
fn dialled(
    world: &World,
    hosts: &[u8],
    timeout: Option<Duration>,
) -> (Result<u8, ConnectError>, Tried) {
    let tried = Rc::new(RefCell::new(Tried::new()));
    let addr = |&host: &u8| SocketAddr::from((Ipv4Addr::new(192, 0, 2, host), 80));
    let addrs = hosts.iter().map(addr).collect();
    let clock = world.clock();
    let deadline = timeout.and_then(|timeout| clock.now().checked_add(timeout));
    let (now, seen) = (world.clone(), tried.clone());
    let result = world.block_on(dial(addrs, clock, deadline, move |addr, time| {
        let SocketAddr::V4(addr) = addr else { panic!() };
        let host = addr.ip().octets()[3];
        seen.borrow_mut().push((host, now.now(), time));
        async move {
            match host {
                ANSWERS => Ok(host),
                REFUSES => Err(io::ErrorKind::ConnectionRefused.into()),
                _ => pending().await,
            }
        }
    }));
    (result, tried.take())
}

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

#[test]
fn an_address_that_does_not_answer_leaves_time_for_the_others() {
    let world = World::default();
    let hosts = [BLACK_HOLE, BLACK_HOLE, ANSWERS];
    let (result, tried) = dialled(&world, &hosts, Some(secs(9)));
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
    let (result, tried) = dialled(&world, &hosts, Some(secs(12)));
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
    let (result, tried) = dialled(&world, &[REFUSES, BLACK_HOLE], Some(secs(10)));
    assert!(matches!(result, Err(ConnectError::TimedOut)), "{result:?}");
    assert_eq!(tried[1], (BLACK_HOLE, secs(0), Some(secs(10))));
    assert_eq!(world.now(), secs(10));
}

#[test]
fn the_error_is_that_of_the_last_address() {
    let world = World::default();
    let (result, _) = dialled(&world, &[BLACK_HOLE, REFUSES], Some(secs(10)));
    match result {
        Err(ConnectError::Io(error)) => assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused),
        other => panic!("{other:?}"),
    }
    assert_eq!(world.now(), secs(5));
    match dialled(&world, &[], Some(secs(10))).0 {
        Err(ConnectError::Io(error)) => assert_eq!(error.kind(), io::ErrorKind::NotFound),
        other => panic!("{other:?}"),
    }
}

#[test]
fn without_a_deadline_each_address_takes_as_long_as_the_system_lets_it() {
    let world = World::default();
    let (result, tried) = dialled(&world, &[REFUSES, ANSWERS], None);
    assert_eq!(result.unwrap(), ANSWERS);
    assert_eq!(tried[0], (REFUSES, secs(0), None));
}

#[test]
fn what_was_spent_on_the_name_is_not_there_for_the_addresses() {
    let world = World::default();
    let (clock, sleeper) = (world.clock(), world.clone());
    let dialling = clock.clone();
    let error = world.block_on(async move {
        let connected = connect(
            Connect::new("ws://a.test/").config(config()),
            clock,
            async |to| {
                let deadline = to.deadline(dialling.now());
                sleeper.sleep(secs(4)).await;
                let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, 80));
                let mut times = Vec::new();
                let dialled = dial(vec![addr; 2], dialling, deadline, |_, time| {
                    times.push(time);
                    pending::<io::Result<End>>()
                });
                let result = dialled.await;
                assert_eq!(times, [Some(secs(3)); 2]);
                result
            },
        );
        connected.await.unwrap_err()
    });
    assert!(matches!(error, ConnectError::TimedOut), "{error:?}");
    assert_eq!(world.now(), secs(10));
}
