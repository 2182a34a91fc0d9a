//! The options.

use bowline_proto::{
    Chunk, Message, Role,
    deflate::{Agreed, Deflate},
    internal::send_small,
};
use testing::{
    ends::{
        config,
        deflate::{self, Random, USUAL, all, both, connection, json},
    },
    frames::{BINARY, FIN, Frame, RSV1},
    rfc1951::Inflate,
};

/// Returns what a server with these options makes of `content`.
#[test]
fn a_message_of_one_chunk_is_compressed_as_a_whole_one() {
    let mut end = deflate::end(Role::Server, USUAL, |_| {});
    let whole = Chunk {
        data: Message::from(json(2000)),
        fin: true,
    };
    end.conn.send_chunk(whole).unwrap();
    let frames = end.write();
    assert_eq!(frames.len(), 1);
    assert_eq!(frames[0].first, FIN | RSV1 | BINARY);
}

fn sent(options: Deflate, agreed: Agreed, content: &[u8]) -> Vec<Frame> {
    let mut end = deflate::end(Role::Server, agreed, |config| {
        config.deflate = Some(options)
    });
    end.conn.send(content.to_vec()).unwrap();
    end.write()
}

#[test]
fn the_level_trades_size_for_time() {
    let content = json(16 << 10);
    let size = |level| {
        let mut options = all();
        options.level = level;
        sent(options, USUAL, &content)[0].payload.len()
    };
    assert!(size(9) < size(1) * 3 / 4, "{} {}", size(9), size(1));
    assert_eq!(size(0), size(1));
    assert_eq!(size(200), size(9));
    assert_eq!(all().level, 1);
}

#[test]
fn the_window_bounds_how_far_back_is_referred() {
    // Data that repeats itself at every distance up to 28,000, and that also compresses without that.
    let mut random = Random(9);
    let mut noise =
        |len: usize| -> Vec<u8> { (0..len).map(|_| 33 + (random.draw() % 64) as u8).collect() };
    let mut content = Vec::new();
    for bits in 8..=15 {
        let part = noise(200);
        let between = noise((1 << bits) * 7 / 8 - 200);
        content.extend([part.clone(), between, part].concat());
    }
    let mut farthest = 0;
    for bits in 9..=15 {
        for level in [1, 6] {
            let mut options = all();
            options.level = level;
            let agreed = both(bits, true);
            let frames = sent(options, agreed, &content);
            let mut strict = Inflate::new(15, usize::MAX);
            let payload: Vec<u8> = frames.iter().flat_map(|f| f.payload.clone()).collect();
            assert!(strict.ours(&payload) == content);
            assert!(
                strict.farthest <= 1 << bits,
                "{} for {bits}",
                strict.farthest
            );
            if level == 6 {
                // The window is used to its full size.
                assert!(strict.farthest > farthest, "{bits}");
                farthest = strict.farthest;
            }
        }
    }
    assert!(farthest > 1 << 14);
}

#[test]
fn small_messages_are_sent_plain() {
    let content = [b'a'; 100];
    for (threshold, plain) in [(0, false), (100, false), (101, true), (usize::MAX, true)] {
        let mut options = Deflate::default();
        options.threshold = threshold;
        let frames = sent(options, USUAL, &content);
        assert_eq!(frames[0].first & RSV1 == 0, plain, "{threshold}");

        let config = config(|config| config.deflate = Some(options));
        let (_rx, mut tx) = connection(Role::Server, USUAL, &config).split();
        tx.lend(|| Some(Box::default()));
        let small = content.to_vec().into();
        assert_eq!(
            send_small(&mut tx, &small),
            plain,
            "{threshold}, the short way"
        );
    }
    assert_eq!(Deflate::default().threshold, 64);
}
