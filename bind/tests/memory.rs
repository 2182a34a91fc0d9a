//! The heap memory of a socket that waits, besides the socket itself.

use std::{
    cell::RefCell,
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};

use allocation_counter::measure;
use bowline_bind::proto::Role;
use testing::{
    frames::{self, BINARY, FIN},
    world::*,
};

const MANY: usize = 20;

/// Returns the heap bytes of each of many sockets that were made, have received and answered a message of `len`
/// bytes, and wait for the next one. None waits for a timer, and each pipe is empty.
fn idle(len: usize) -> usize {
    let world = World::default();
    let sockets = RefCell::new(Vec::with_capacity(MANY));
    let info = measure(|| {
        for _ in 0..MANY {
            let (end, peer) = pipe(&world, 2 << 20);
            let mut settings = config();
            settings.keep_alive = None;
            settings.max_send_size = 1 << 20;
            let mut socket = socket(end, Role::Server, settings);
            let frame = frames::encode(FIN | BINARY, &vec![0; len], Some([0; 4]));
            peer.outgoing.borrow_mut().push(&frame);
            drop(frame);
            let cx = &mut Context::from_waker(Waker::noop());
            {
                let mut echo = Box::pin(async {
                    let message = socket.recv().await.unwrap().unwrap();
                    assert_eq!(message.len(), len);
                    socket.send(message).await.unwrap();
                    let refused = socket.feed(vec![0; (1 << 20) + 1]).await;
                    assert!(refused.is_err());
                    socket.recv().await
                });
                while peer.incoming.borrow().waiting() < len {
                    assert!(matches!(echo.as_mut().poll(cx), Poll::Pending));
                }
                assert!(matches!(echo.as_mut().poll(cx), Poll::Pending));
            }
            peer.incoming.borrow_mut().forget();
            peer.outgoing.borrow_mut().forget();
            sockets.borrow_mut().push((socket, peer));
        }
    });
    info.bytes_current as usize / MANY
}

#[test]
fn a_socket_that_waits_holds_no_buffer_whatever_it_has_received_and_sent() {
    idle(1); // The thread has its loans from now on.
    let fresh = idle(1);
    // This includes the pipe and the configuration, which is usually shared.
    assert!(fresh < 1024, "{fresh}");
    for len in [100, 10_000, 64 << 10, 1 << 20] {
        idle(len); // The thread now keeps what it keeps after large messages.
        let after = idle(len);
        assert!(
            after <= fresh + 64,
            "after {len} bytes: {after}, before: {fresh}"
        );
    }
}

/// These are more bytes than a task reads before it lets others run.
#[test]
fn messages_that_came_in_one_read_are_taken_from_where_they_were_read() {
    const LEN: usize = 20_000;
    let world = World::default();
    let (end, peer) = pipe(&world, 2 << 20);
    let mut socket = socket(end, Role::Client, config());
    let head = [&[0x82, 126][..], &(LEN as u16).to_be_bytes()].concat();
    let batch = [head, vec![7; LEN]].concat().repeat(4);
    let mut receive = || {
        peer.outgoing.borrow_mut().push(&batch);
        let info = measure(|| {
            let cx = &mut Context::from_waker(Waker::noop());
            let mut count = 0;
            while count < 4 {
                if let Poll::Ready(message) = pin!(socket.recv()).poll(cx) {
                    assert_eq!(message.unwrap().unwrap().len(), LEN);
                    count += 1;
                }
            }
        });
        info.bytes_total
    };
    receive(); // The thread has its loans and reserves from now on.
    let total = receive();
    assert!(total < 8 << 10, "{total}");
}
