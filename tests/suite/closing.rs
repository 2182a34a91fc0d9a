//! How connections end.

use std::time::Duration;

use ::tokio::{spawn, time::sleep};
use bind::{
    Error,
    proto::{
        CloseCode, CloseFrame, Closed, ConnectionError, ControlPayload, Event, Initiator, Message,
        SendError, State,
    },
};

use crate::{
    binding::{ReadHalf, Socket, Wire, WriteHalf},
    support::{both, defaults, pair, roomy, with},
};

for_each_wire! {
    either_side_closes,
    both_close_at_once,
    a_write_half_closes_while_the_other_half_receives,
    a_write_half_closes_while_the_other_half_is_idle,
    a_write_half_closes_in_the_loop_of_the_other_half,
    a_write_half_alone_answers_and_learns_of_the_end,
    two_split_ends_send_before_they_receive,
    what_was_under_way_is_received_behind_a_finish,
    what_was_to_be_sent_is_finished_before_the_answer,
    nothing_is_sent_behind_a_close,
    an_abort_ends_both_ends,
    an_abort_frees_the_half_that_receives,
    a_socket_that_is_dropped_is_lost_to_the_peer,
    halves_end_the_transport_when_both_are_gone,
}

fn bye() -> CloseFrame {
    CloseFrame::new(CloseCode::new(4000).unwrap(), "bye").unwrap()
}

fn check_clean(closed: &Closed, initiator: Initiator) {
    assert!(closed.clean, "{closed}");
    assert_eq!(closed.initiator, initiator);
    assert_eq!(closed.cause, None);
    assert_eq!((closed.code, &closed.reason[..]), (4000, "bye"));
}

async fn either_side_closes<W: Wire>() {
    async fn run(mut closing: impl Socket, mut closed: impl Socket) {
        assert_eq!(closing.state(), State::Open);
        let near = async move {
            closing.close(bye()).await.unwrap();
            assert_eq!(closing.state(), State::Closed);
            assert_eq!(closing.recv().await.unwrap(), None);
            // Closing again does no harm.
            closing.close(None).await.unwrap();
            closing.closed().unwrap()
        };
        let far = async move {
            let event = closed.recv_event().await.unwrap();
            assert_eq!(event, Some(Event::Close(Some(bye()))));
            assert_eq!(closed.recv_event().await.unwrap(), None);
            assert_eq!(closed.recv().await.unwrap(), None);
            closed.closed().unwrap()
        };
        let (near, far) = both(near, far).await;
        check_clean(&near, Initiator::Local);
        check_clean(&far, Initiator::Peer);
    }
    let (client, server) = pair::<W, W>(&defaults(), &defaults()).await;
    run(client, server).await;
    let (client, server) = pair::<W, W>(&defaults(), &defaults()).await;
    run(server, client).await;
}

async fn both_close_at_once<W: Wire>() {
    async fn run(mut socket: impl Socket) -> Closed {
        socket.close(bye()).await.unwrap();
        socket.closed().unwrap()
    }
    for _ in 0..10 {
        let (client, server) = pair::<W, W>(&defaults(), &defaults()).await;
        let (near, far) = both(run(client), run(server)).await;
        assert!(near.clean && far.clean, "{near}, {far}");
        assert_eq!((near.code, far.code), (4000, 4000));
    }
}

async fn a_write_half_closes_while_the_other_half_receives<W: Wire>() {
    async fn run(closing: impl Socket, mut closed: impl Socket) {
        let (mut read, write) = closing.split();
        let receiving = spawn(async move {
            assert_eq!(read.recv().await.unwrap(), None);
            read.closed().unwrap()
        });
        let answering = spawn(async move {
            assert_eq!(closed.recv().await.unwrap(), None);
            closed.closed().unwrap()
        });
        write.close(bye()).await.unwrap();
        check_clean(&receiving.await.unwrap(), Initiator::Local);
        check_clean(&write.closed().unwrap(), Initiator::Local);
        check_clean(&answering.await.unwrap(), Initiator::Peer);
    }
    let (client, server) = pair::<W, W>(&defaults(), &defaults()).await;
    run(client, server).await;
    let (client, server) = pair::<W, W>(&defaults(), &defaults()).await;
    run(server, client).await;
}

async fn a_write_half_closes_while_the_other_half_is_idle<W: Wire>() {
    async fn run(closing: impl Socket, mut closed: impl Socket) {
        for number in 0..5 {
            closed.send(number.to_string()).await.unwrap();
        }
        let answering = spawn(async move { closed.recv().await.unwrap() });
        let (mut read, write) = closing.split();
        write.close(bye()).await.unwrap();
        check_clean(&write.closed().unwrap(), Initiator::Local);
        assert_eq!(answering.await.unwrap(), None);
        for number in 0..5 {
            let received = read.recv().await.unwrap();
            assert_eq!(received, Some(Message::from(number.to_string())));
        }
        assert_eq!(read.recv().await.unwrap(), None);
    }
    let (client, server) = pair::<W, W>(&defaults(), &defaults()).await;
    run(client, server).await;
    let (client, server) = pair::<W, W>(&defaults(), &defaults()).await;
    run(server, client).await;
}

async fn a_write_half_closes_in_the_loop_of_the_other_half<W: Wire>() {
    async fn run(closing: impl Socket, mut closed: impl Socket) {
        closed.send("bad").await.unwrap();
        let answering = spawn(async move { closed.recv().await.unwrap() });
        let (mut read, write) = closing.split();
        while read.recv().await.unwrap().is_some() {
            write.close(bye()).await.unwrap();
        }
        check_clean(&read.closed().unwrap(), Initiator::Local);
        assert_eq!(answering.await.unwrap(), None);
    }
    let (client, server) = pair::<W, W>(&defaults(), &defaults()).await;
    run(client, server).await;
    let (client, server) = pair::<W, W>(&defaults(), &defaults()).await;
    run(server, client).await;
}

/// The peer pings until it has its Pongs, and then closes. Meanwhile this end only sends.
async fn a_write_half_alone_answers_and_learns_of_the_end<W: Wire>() {
    async fn run(sending: impl Socket, mut pinging: impl Socket) {
        let (read, write) = sending.split();
        drop(read);
        let pinging = spawn(async move {
            for number in 0..10_u8 {
                let payload = ControlPayload::new(vec![number]).unwrap();
                pinging.ping(payload.clone()).await.unwrap();
                while pinging.recv_event().await.unwrap() != Some(Event::Pong(payload.clone())) {}
            }
            pinging.close(bye()).await.unwrap();
        });
        let error = loop {
            match write.send("news").await {
                Ok(()) => sleep(Duration::from_millis(5)).await,
                Err(error) => break error,
            }
        };
        assert!(matches!(error, Error::Send(SendError::Closed)), "{error:?}");
        let closed = write.closed().unwrap();
        assert_eq!((closed.code, closed.initiator), (4000, Initiator::Peer));
        write.close(None).await.unwrap();
        pinging.await.unwrap();
    }
    let (client, server) = pair::<W, W>(&defaults(), &defaults()).await;
    run(client, server).await;
    let (client, server) = pair::<W, W>(&defaults(), &defaults()).await;
    run(server, client).await;
}

/// Each end sends more than the system buffers, from one task.
async fn two_split_ends_send_before_they_receive<W: Wire>() {
    const LEN: usize = 16 << 20;
    async fn run(socket: impl Socket) {
        let (mut read, write) = socket.split();
        write.send(vec![7; LEN]).await.unwrap();
        assert_eq!(read.recv().await.unwrap().unwrap().len(), LEN);
        // A Close here would cut off what the other end still sends.
        write.send("done").await.unwrap();
        assert_eq!(read.recv().await.unwrap(), Some("done".into()));
    }
    let (client, server) = pair::<W, W>(&roomy(), &roomy()).await;
    both(run(client), run(server)).await;
}

async fn what_was_under_way_is_received_behind_a_finish<W: Wire>() {
    async fn run(mut finishing: impl Socket, mut sending: impl Socket) {
        for i in 0..3 {
            sending.send(i.to_string()).await.unwrap();
        }
        finishing.finish(bye()).await.unwrap();
        let near = async move {
            assert_eq!(finishing.state(), State::Closing);
            for i in 0..3 {
                let received = finishing.recv().await.unwrap();
                assert_eq!(received, Some(Message::from(i.to_string())));
            }
            assert_eq!(finishing.recv().await.unwrap(), None);
            finishing.closed().unwrap()
        };
        let far = async move {
            assert_eq!(sending.recv().await.unwrap(), None);
            sending.closed().unwrap()
        };
        let (near, far) = both(near, far).await;
        check_clean(&near, Initiator::Local);
        check_clean(&far, Initiator::Peer);
    }
    let (client, server) = pair::<W, W>(&defaults(), &defaults()).await;
    run(client, server).await;
    let (client, server) = pair::<W, W>(&defaults(), &defaults()).await;
    run(server, client).await;
}

async fn what_was_to_be_sent_is_finished_before_the_answer<W: Wire>() {
    let patient = with(|config| config.reply_to_close = false);
    let (mut client, mut server) = pair::<W, W>(&defaults(), &patient).await;
    let near = async move {
        client.finish(bye()).await.unwrap();
        let received = client.recv().await.unwrap();
        assert_eq!(received, Some(Message::from("the rest")));
        assert_eq!(client.recv().await.unwrap(), None);
        client.closed().unwrap()
    };
    let far = async move {
        let event = server.recv_event().await.unwrap();
        assert_eq!(event, Some(Event::Close(Some(bye()))));
        server.send("the rest").await.unwrap();
        server.close(bye()).await.unwrap();
        server.closed().unwrap()
    };
    let (near, far) = both(near, far).await;
    check_clean(&near, Initiator::Local);
    check_clean(&far, Initiator::Peer);
}

async fn nothing_is_sent_behind_a_close<W: Wire>() {
    let (mut client, mut server) = pair::<W, W>(&defaults(), &defaults()).await;
    client.finish(None).await.unwrap();
    let late = client.send("late").await;
    assert!(
        matches!(late, Err(Error::Send(SendError::Closed))),
        "{late:?}"
    );
    let served = spawn(async move {
        assert_eq!(server.recv().await.unwrap(), None);
        let late = server.send("late").await;
        assert!(
            matches!(late, Err(Error::Send(SendError::Closed))),
            "{late:?}"
        );
        server.closed().unwrap()
    });
    assert_eq!(client.recv().await.unwrap(), None);
    assert_eq!(client.closed().unwrap().code, Closed::NO_STATUS);
    assert_eq!(served.await.unwrap().code, Closed::NO_STATUS);
}

/// Checks that a lost peer is reported as one error, and as nothing more.
async fn check_lost(mut socket: impl Socket) {
    let lost = socket.recv().await;
    assert!(matches!(lost, Err(Error::Lost(_))), "{lost:?}");
    assert_eq!(socket.recv().await.unwrap(), None);
    let closed = socket.closed().unwrap();
    assert!(!closed.clean);
    assert_eq!(closed.code, Closed::ABNORMAL);
    assert!(matches!(closed.cause, Some(ConnectionError::Lost(_))));
}

async fn an_abort_ends_both_ends<W: Wire>() {
    async fn run(mut ending: impl Socket, other: impl Socket) {
        ending.abort();
        assert_eq!(ending.state(), State::Closed);
        assert_eq!(ending.recv().await.unwrap(), None);
        assert!(!ending.closed().unwrap().clean);
        check_lost(other).await;
    }
    let (client, server) = pair::<W, W>(&defaults(), &defaults()).await;
    run(client, server).await;
    let (client, server) = pair::<W, W>(&defaults(), &defaults()).await;
    run(server, client).await;
}

async fn an_abort_frees_the_half_that_receives<W: Wire>() {
    let (client, server) = pair::<W, W>(&defaults(), &defaults()).await;
    let (mut read, write) = client.split();
    let receiving = spawn(async move {
        // A reader must be waiting so that it can be released.
        assert!(read.recv().await.unwrap().is_some());
        read.recv().await.unwrap()
    });
    let (mut server, server_write) = server.split();
    server_write.send("first").await.unwrap();
    ::tokio::time::sleep(Duration::from_millis(50)).await;
    write.abort();
    assert_eq!(receiving.await.unwrap(), None);
    let lost = server.recv().await;
    assert!(matches!(lost, Err(Error::Lost(_))), "{lost:?}");
}

async fn a_socket_that_is_dropped_is_lost_to_the_peer<W: Wire>() {
    let (client, server) = pair::<W, W>(&defaults(), &defaults()).await;
    drop(client);
    check_lost(server).await;
    let (client, server) = pair::<W, W>(&defaults(), &defaults()).await;
    drop(server);
    check_lost(client).await;
}

async fn halves_end_the_transport_when_both_are_gone<W: Wire>() {
    let (client, mut server) = pair::<W, W>(&defaults(), &defaults()).await;
    let (read, write) = client.split();
    drop(read);
    write.send("the write half goes on").await.unwrap();
    assert!(server.recv().await.unwrap().is_some());
    drop(write);
    check_lost(server).await;

    let (client, mut server) = pair::<W, W>(&defaults(), &defaults()).await;
    let (mut read, write) = client.split();
    drop(write);
    server.send("the read half goes on").await.unwrap();
    assert!(read.recv().await.unwrap().is_some());
    drop(read);
    check_lost(server).await;
}
