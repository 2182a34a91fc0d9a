//! Keep-alive by unsolicited Pongs, through the driver.

use std::{cell::RefCell, future::Future, rc::Rc, time::Duration};

use bowline_bind::proto::{Config, KeepAlive, Role, State};
use testing::{
    frames::{Frame, PING, PONG},
    world::*,
};

const SECOND: Duration = Duration::from_secs(1);

fn beating() -> Config {
    let config = config().keep_alive_kind(KeepAlive::Pong);
    config.pong_timeout(SECOND).write_timeout(None)
}

/// Runs `task`, which drives a socket of `role`, for `seconds`. Returns what was written, each frame with the second in
/// which it came.
fn written<F: Future<Output = ()> + 'static>(
    role: Role,
    seconds: u64,
    task: impl FnOnce(World, Socket) -> F,
) -> Vec<(u64, Frame)> {
    let world = World::default();
    let (end, peer) = pipe(&world, 4096);
    world.spawn_daemon(task(world.clone(), socket(end, role, beating())));
    let frames = Rc::new(RefCell::new(Vec::new()));
    let (clock, log) = (world.clone(), frames.clone());
    world.block_on(async move {
        // Between two seconds it does not matter which task runs first.
        clock.sleep(SECOND / 2).await;
        for second in 0..=seconds {
            let octets = peer.incoming.borrow_mut().drain();
            let read = Frame::read_all(&octets, role);
            log.borrow_mut()
                .extend(read.into_iter().map(|frame| (second, frame)));
            clock.sleep(SECOND).await;
        }
    });
    frames.take()
}

fn beat(second: u64) -> (u64, Frame) {
    (second, Frame::new(PONG, ""))
}

#[test]
fn a_pending_recv_sends_an_unsolicited_pong_in_each_period() {
    for role in [Role::Client, Role::Server] {
        let frames = written(role, 3610, |_, mut socket| async move {
            let _ = socket.recv().await;
        });
        let expected: Vec<_> = (1..=180).map(|i| beat(i * 20)).collect();
        assert_eq!(frames, expected);
    }
}

#[test]
fn the_write_half_keeps_sending_beside_them() {
    for role in [Role::Client, Role::Server] {
        let frames = written(role, 70, |world, socket| async move {
            let (mut reader, writer) = socket.split();
            world.spawn_daemon(async move {
                let _ = reader.recv().await;
            });
            world.sleep(30 * SECOND).await;
            writer.send("between").await.unwrap();
            world.sleep(30 * SECOND).await;
            assert_eq!((writer.latency(), writer.state()), (None, State::Open));
            std::future::pending().await
        });
        let text = (30, Frame::text("between"));
        assert_eq!(frames, [beat(20), text, beat(40), beat(60)]);
    }
}

#[test]
fn behind_a_message_that_nobody_reads_both_the_answer_and_the_unsolicited_pong_wait() {
    for role in [Role::Client, Role::Server] {
        let world = World::default();
        let (end, peer) = pipe(&world, 100);
        let other = match role {
            Role::Client => Role::Server,
            Role::Server => Role::Client,
        };
        let socket = socket(end, role, beating().send_high_water(1));
        let (mut reader, writer) = socket.split();
        world.spawn_daemon(async move { while let Ok(Some(_)) = reader.recv_event().await {} });
        world.spawn(async move { writer.send(vec![7; 1000]).await.unwrap() });
        let clock = world.clone();
        world.block_on(async move {
            clock.sleep(100 * SECOND).await;
            peer.outgoing
                .borrow_mut()
                .push(&Frame::new(PING, "asked").from(other));
            clock.sleep(100 * SECOND).await;
            let mut octets = Vec::new();
            for _ in 0..100 {
                octets.extend(peer.incoming.borrow_mut().drain());
                clock.sleep(SECOND / 100).await;
            }
            assert_eq!(
                Frame::read_all(&octets, role),
                [
                    Frame::binary([7; 1000]),
                    Frame::new(PONG, "asked"),
                    Frame::new(PONG, "")
                ]
            );
        });
    }
}
