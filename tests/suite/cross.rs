//! Each binding's client talks to each binding's server.

use bind::proto::{CloseCode, CloseFrame, ControlPayload, Event, Initiator, Kind, Message};

use crate::{
    binding::{Socket, Wire},
    support::{both, defaults, pair},
};

for_each_two! {
    a_conversation,
}

async fn a_conversation<C: Wire, S: Wire>() {
    let (mut client, mut server) = pair::<C, S>(&defaults(), &defaults()).await;
    let frame = || CloseFrame::new(CloseCode::new(4001).unwrap(), "all is said").unwrap();
    let near = async move {
        speak(&mut client).await;
        hear(&mut client).await;
        client.close(frame()).await.unwrap();
        client.closed().unwrap()
    };
    let far = async move {
        hear(&mut server).await;
        speak(&mut server).await;
        let event = server.recv_event().await.unwrap();
        assert_eq!(event, Some(Event::Close(Some(frame()))));
        assert_eq!(server.recv_event().await.unwrap(), None);
        server.closed().unwrap()
    };
    let (near, far) = both(near, far).await;
    for (closed, initiator) in [(near, Initiator::Local), (far, Initiator::Peer)] {
        assert!(closed.clean, "{closed}");
        assert_eq!(closed.initiator, initiator);
        assert_eq!((closed.code, &closed.reason[..]), (4001, "all is said"));
    }
}

const PIECES: [&str; 4] = ["a piece, ", "", "and an\u{f6}ther, ", "and the last"];

fn messages() -> [Message; 5] {
    [
        Message::from("Gr\u{fc}\u{df}e \u{1f980}"),
        Message::from(""),
        Message::from(vec![0, 1, 2, 255]),
        Message::from(Vec::new()),
        Message::from(Vec::from_iter((0..1 << 20).map(|i: u32| (i % 251) as u8))),
    ]
}

fn payload() -> ControlPayload {
    ControlPayload::new(vec![9; 125]).unwrap()
}

async fn speak(socket: &mut impl Socket) {
    for message in messages() {
        socket.send(message).await.unwrap();
    }
    let pieces = PIECES.map(Message::from).into();
    socket.send_pieces(Kind::Text, pieces).await.unwrap();
    socket.ping(payload()).await.unwrap();
    let event = socket.recv_event().await.unwrap();
    assert_eq!(event, Some(Event::Pong(payload())));
}

async fn hear(socket: &mut impl Socket) {
    for message in messages() {
        let event = socket.recv_event().await.unwrap();
        assert!(event == Some(Event::Data(message)));
    }
    let mut text = String::new();
    loop {
        let chunk = socket.recv_chunk().await.unwrap().unwrap();
        text.push_str(chunk.data.as_text().unwrap());
        if chunk.fin {
            break;
        }
    }
    assert_eq!(text, PIECES.concat());
    let event = socket.recv_event().await.unwrap();
    assert_eq!(event, Some(Event::Ping(payload())));
}
