//! The traits of futures-io over a whole socket, and over one message in each direction.

use bowline_smol::{ByteStream, Config, Connect, Kind, accept_any, connect_over};
use smol::{
    io::{self, AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

#[test]
fn bytes_pass_through_sockets_and_messages() {
    smol::block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = smol::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut socket = accept_any(stream, Config::default()).await.unwrap();
            let message = socket.read_message().await.unwrap().unwrap();
            let mut text = String::new();
            let mut message = ByteStream::new(message);
            message.read_to_string(&mut text).await.unwrap();
            let (mut reader, mut writer) = io::split(ByteStream::new(socket));
            io::copy(&mut reader, &mut writer).await.unwrap();
            text
        });
        let stream = TcpStream::connect(address).await.unwrap();
        let to = Connect::new(format!("ws://{address}/"));
        let (mut socket, _) = connect_over(stream, to).await.unwrap();
        let mut message = ByteStream::new(socket.stream(Kind::Text).await.unwrap());
        message.write_all("größer".as_bytes()).await.unwrap();
        message.close().await.unwrap();
        drop(message);
        let mut bytes = ByteStream::new(socket);
        let sent: Vec<u8> = (0..200_000_u32).map(|at| (at / 7) as u8).collect();
        let (mut received, mut part) = (Vec::new(), vec![0; 5000]);
        for piece in sent.chunks(part.len()) {
            bytes.write_all(piece).await.unwrap();
            bytes.flush().await.unwrap();
            bytes.read_exact(&mut part).await.unwrap();
            received.extend_from_slice(&part);
        }
        assert!(received == sent);
        bytes.close().await.unwrap();
        assert_eq!(bytes.read(&mut part).await.unwrap(), 0);
        assert_eq!(serving.await, "größer");
    });
}
