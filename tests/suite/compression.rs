//! Compression, from one application to another.

use std::sync::Arc;

use bind::proto::{
    Config, Kind, Message, Outgoing, Prepared,
    deflate::{Deflate, Window},
};

use crate::{
    binding::{Socket, Wire},
    support::{both, pair, roomy},
};

for_each_wire! {
    compressed_messages_cross_both_ways,
}

async fn compressed_messages_cross_both_ways<W: Wire>() {
    for takeover in [true, false] {
        let mut config = Config::clone(&roomy());
        let mut options = Deflate::default();
        options.send = Window { bits: 12, takeover };
        options.recv = Window { bits: 11, takeover };
        config.deflate = Some(options);
        let config = Arc::new(config);
        let (mut client, mut server) = pair::<W, W>(&config, &config).await;
        let text = |len: usize| Message::from("not all of it is noise ".repeat(len / 23));
        let messages = [0, 100, 4000, 65_536, 300_000].map(text);
        let expected = messages.clone();
        let there = async move {
            for message in messages {
                client.send(message.clone()).await.unwrap();
                assert!(client.recv().await.unwrap().as_ref() == Some(&message));
                // This message is not compressed.
                client
                    .send(Outgoing::uncompressed(message.clone()))
                    .await
                    .unwrap();
                assert!(client.recv().await.unwrap() == Some(message));
            }
            client.close(None).await.unwrap();
        };
        let back = async move {
            for message in &expected {
                assert!(server.recv().await.unwrap().as_ref() == Some(message));
                let prepared = Prepared::new(message.clone(), &config);
                server.send(prepared).await.unwrap();
                assert!(server.recv().await.unwrap().as_ref() == Some(message));
                let pieces = vec![message.clone()];
                server.send_pieces(Kind::Text, pieces).await.unwrap();
            }
            assert_eq!(server.recv().await.unwrap(), None);
            assert!(server.closed().unwrap().clean);
        };
        both(there, back).await;
    }
}
