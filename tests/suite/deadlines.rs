//! Deadlines, by the clock of each binding. These tests do not measure how long something takes. If a
//! deadline never passes, the test hangs.

use std::{sync::Arc, time::Duration};

use ::tokio::spawn;
use bind::{
    Error,
    proto::{CloseCode, Closed, Config, ConnectionError, Deadline, Event, KeepAlive},
};

use crate::{
    binding::{ReadHalf, Socket, Wire, WriteHalf},
    support::{defaults, pair, with},
};

for_each_wire! {
    a_peer_that_vanished_is_noticed,
    a_peer_that_vanished_is_noticed_by_the_half_that_receives,
    a_peer_that_answers_is_not_taken_for_vanished,
    a_peer_that_gets_unsolicited_pongs_need_not_answer,
    a_peer_that_stops_reading_is_cut,
    a_peer_that_stops_reading_is_cut_for_both_halves,
    a_peer_that_stops_reading_is_cut_though_nobody_receives,
    a_close_without_an_answer_ends,
    a_close_of_a_write_half_without_an_answer_ends_both_halves,
    a_peer_that_sends_nothing_is_told_to_go,
}

const SHORT: Option<Duration> = Some(Duration::from_millis(80));

/// Checks that a deadline is reported as one error, and then as `None`.
async fn check_timed_out(socket: &mut impl Socket, deadline: Deadline) {
    let failed = socket.recv().await;
    assert!(
        matches!(failed, Err(Error::TimedOut(failed)) if failed == deadline),
        "{failed:?}"
    );
    assert_eq!(socket.recv().await.unwrap(), None);
    check_cause(&socket.closed().unwrap(), deadline);
}

fn check_cause(closed: &Closed, deadline: Deadline) {
    assert!(!closed.clean);
    assert_eq!(closed.code, Closed::ABNORMAL);
    assert_eq!(closed.cause, Some(ConnectionError::TimedOut(deadline)));
}

fn keep_alive() -> Arc<Config> {
    with(|config| {
        config.keep_alive = SHORT;
        config.pong_timeout = SHORT;
    })
}

/// A socket that is never polled does not answer, like one on a machine that has crashed.
async fn a_peer_that_vanished_is_noticed<W: Wire>() {
    let (mut client, server) = pair::<W, W>(&keep_alive(), &defaults()).await;
    check_timed_out(&mut client, Deadline::Pong).await;
    drop(server);
    let (client, mut server) = pair::<W, W>(&defaults(), &keep_alive()).await;
    check_timed_out(&mut server, Deadline::Pong).await;
    drop(client);
}

async fn a_peer_that_vanished_is_noticed_by_the_half_that_receives<W: Wire>() {
    let (client, server) = pair::<W, W>(&defaults(), &keep_alive()).await;
    let (mut read, write) = server.split();
    let failed = read.recv().await;
    assert!(
        matches!(failed, Err(Error::TimedOut(Deadline::Pong))),
        "{failed:?}"
    );
    assert_eq!(read.recv().await.unwrap(), None);
    check_cause(&read.closed().unwrap(), Deadline::Pong);
    assert!(write.send("nobody is there").await.is_err());
    drop(client);
}

async fn a_peer_that_answers_is_not_taken_for_vanished<W: Wire>() {
    let often = with(|config| config.keep_alive = Some(Duration::from_millis(20)));
    let (mut client, mut server) = pair::<W, W>(&often, &defaults()).await;
    let answering = spawn(async move { server.recv().await.unwrap() });
    assert_eq!(client.latency(), None);
    for _ in 0..3 {
        let event = client.recv_event().await.unwrap();
        assert!(matches!(event, Some(Event::Pong(_))), "{event:?}");
    }
    assert!(client.latency().is_some());
    client.close(None).await.unwrap();
    assert_eq!(answering.await.unwrap(), None);
}

async fn a_peer_that_gets_unsolicited_pongs_need_not_answer<W: Wire>() {
    let beating = with(|config| {
        config.keep_alive = Some(Duration::from_millis(20));
        config.keep_alive_kind = KeepAlive::Pong;
        config.pong_timeout = Some(Duration::from_millis(1));
    });
    let (mut client, mut server) = pair::<W, W>(&beating, &defaults()).await;
    let beaten = spawn(async move { (client.recv().await.unwrap(), client.latency()) });
    for _ in 0..5 {
        let event = server.recv_event().await.unwrap();
        assert!(
            matches!(&event, Some(Event::Pong(payload)) if payload.is_empty()),
            "{event:?}"
        );
    }
    server.close(None).await.unwrap();
    assert_eq!(beaten.await.unwrap(), (None, None));
}

fn impatient() -> Arc<Config> {
    with(|config| config.write_timeout = SHORT)
}

/// This many messages of 1 MiB are more than the buffers of any system take.
const MANY: usize = 128;

async fn a_peer_that_stops_reading_is_cut<W: Wire>() {
    let (client, mut server) = pair::<W, W>(&defaults(), &impatient()).await;
    let mut sent = Ok(());
    for _ in 0..MANY {
        sent = server.send(vec![0; 1 << 20]).await;
        if sent.is_err() {
            break;
        }
    }
    assert!(
        matches!(sent, Err(Error::TimedOut(Deadline::Write))),
        "{sent:?}"
    );
    while let Ok(Some(_)) | Err(_) = server.recv().await {}
    check_cause(&server.closed().unwrap(), Deadline::Write);
    drop(client);
}

async fn send_much(write: impl WriteHalf) -> Result<(), Error> {
    for _ in 0..MANY {
        write.send(vec![0; 1 << 20]).await?;
    }
    Ok(())
}

async fn a_peer_that_stops_reading_is_cut_for_both_halves<W: Wire>() {
    let (client, server) = pair::<W, W>(&defaults(), &impatient()).await;
    let (mut read, write) = server.split();
    let sending = spawn(send_much(write));
    let received = read.recv().await;
    assert!(
        matches!(received, Err(Error::TimedOut(Deadline::Write))),
        "{received:?}"
    );
    assert_eq!(read.recv().await.unwrap(), None);
    check_cause(&read.closed().unwrap(), Deadline::Write);
    let sent = sending.await.unwrap();
    assert!(
        matches!(sent, Err(Error::TimedOut(Deadline::Write))),
        "{sent:?}"
    );
    drop(client);
}

async fn a_peer_that_stops_reading_is_cut_though_nobody_receives<W: Wire>() {
    let (client, server) = pair::<W, W>(&impatient(), &defaults()).await;
    let (_read, write) = client.split();
    let sent = send_much(write).await;
    assert!(
        matches!(sent, Err(Error::TimedOut(Deadline::Write))),
        "{sent:?}"
    );
    drop(server);
}

fn brief() -> Arc<Config> {
    with(|config| config.close_timeout = SHORT)
}

async fn a_close_without_an_answer_ends<W: Wire>() {
    async fn run(mut closing: impl Socket, silent: impl Socket) {
        let closed = closing.close(None).await;
        assert!(
            matches!(closed, Err(Error::TimedOut(Deadline::Close))),
            "{closed:?}"
        );
        assert_eq!(closing.recv().await.unwrap(), None);
        check_cause(&closing.closed().unwrap(), Deadline::Close);
        drop(silent);
    }
    let (client, server) = pair::<W, W>(&brief(), &defaults()).await;
    run(client, server).await;
    let (client, server) = pair::<W, W>(&defaults(), &brief()).await;
    run(server, client).await;
}

async fn a_close_of_a_write_half_without_an_answer_ends_both_halves<W: Wire>() {
    let (client, server) = pair::<W, W>(&brief(), &defaults()).await;
    let (mut read, write) = client.split();
    let receiving = spawn(async move {
        let received = read.recv().await;
        assert!(
            matches!(received, Err(Error::TimedOut(Deadline::Close))),
            "{received:?}"
        );
        assert_eq!(read.recv().await.unwrap(), None);
    });
    let closed = write.close(None).await;
    assert!(
        matches!(closed, Err(Error::TimedOut(Deadline::Close))),
        "{closed:?}"
    );
    receiving.await.unwrap();
    // Nothing receives.
    let (client, _server) = pair::<W, W>(&brief(), &defaults()).await;
    let (_read, write) = client.split();
    let closed = write.close(None).await;
    assert!(
        matches!(closed, Err(Error::TimedOut(Deadline::Close))),
        "{closed:?}"
    );
    drop(server);
}

async fn a_peer_that_sends_nothing_is_told_to_go<W: Wire>() {
    let idle = with(|config| config.idle_timeout = SHORT);
    let (mut client, mut server) = pair::<W, W>(&defaults(), &idle).await;
    let served = spawn(async move {
        let received = server.recv().await;
        (received, server.closed().unwrap())
    });
    assert_eq!(client.recv().await.unwrap(), None);
    let closed = client.closed().unwrap();
    assert_eq!(
        (closed.code, closed.clean),
        (CloseCode::GOING_AWAY.get(), true)
    );
    let (received, closed) = served.await.unwrap();
    assert!(
        matches!(received, Err(Error::TimedOut(Deadline::Idle))),
        "{received:?}, {closed}"
    );
}
