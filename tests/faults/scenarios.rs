//! The scenarios: one list for all bindings.

use bind::proto::{
    Config,
    deflate::{Deflate, Window},
};

use crate::script::{
    Act::*,
    Answer,
    Body::*,
    Scenario,
    Script::{Split, Whole},
};

const BASE: Scenario = Scenario {
    name: "",
    capacity: 8192,
    configure: |_, _, _| {},
    offers: &[],
    answer: Answer::Open,
    opening: false,
    lossy: false,
    client: Whole(&[]),
    server: Whole(&[]),
};

fn compressed(config: &mut Config, takeover: bool) {
    let mut options = Deflate::default();
    let bits = if takeover { 12 } else { 15 };
    options.send = Window { bits, takeover };
    options.recv = Window { bits, takeover };
    config.deflate = Some(options);
}

pub(crate) const SCENARIOS: &[Scenario] = &[
    // The opening handshake.
    Scenario {
        name: "opened and closed",
        opening: true,
        client: Whole(&[Close]),
        ..BASE
    },
    Scenario {
        name: "opened through a narrow pipe",
        opening: true,
        capacity: 40,
        client: Whole(&[Send(Text(5)), Close]),
        ..BASE
    },
    Scenario {
        name: "a subprotocol is agreed on",
        opening: true,
        offers: &["chat.v1", "chat.v2"],
        answer: Answer::Speaks("chat.v2"),
        server: Whole(&[Close]),
        ..BASE
    },
    Scenario {
        name: "the server answers wrongly, then rightly",
        opening: true,
        offers: &["chat"],
        answer: Answer::Corrects("chat"),
        client: Whole(&[Close]),
        ..BASE
    },
    Scenario {
        name: "compression is agreed on",
        opening: true,
        configure: |client, server, _| {
            compressed(client, true);
            compressed(server, true);
        },
        client: Whole(&[Send(Text(300)), Close]),
        ..BASE
    },
    Scenario {
        name: "the server speaks first",
        opening: true,
        client: Whole(&[Recv(2), Close]),
        server: Whole(&[Send(Text(20)), Send(Binary(900))]),
        ..BASE
    },
    Scenario {
        name: "refused with a body",
        opening: true,
        answer: Answer::Refuses(403, "not from there, and for many a reason\n"),
        ..BASE
    },
    Scenario {
        name: "refused without a body",
        opening: true,
        answer: Answer::Refuses(302, ""),
        ..BASE
    },
    Scenario {
        name: "refused by the server itself",
        opening: true,
        configure: |_, server, _| server.max_head_size = 100,
        ..BASE
    },
    Scenario {
        name: "refused by the client",
        opening: true,
        offers: &["chat"],
        configure: |client, _, _| client.require_subprotocol = true,
        ..BASE
    },
    Scenario {
        name: "dropped by the server",
        opening: true,
        answer: Answer::Drops,
        ..BASE
    },
    // Messages.
    Scenario {
        name: "small messages both ways",
        client: Whole(&[Send(Text(3)), Recv(1), Send(Binary(70)), Recv(1), Close]),
        server: Whole(&[Recv(1), Send(Text(4)), Recv(1), Send(Binary(200))]),
        ..BASE
    },
    Scenario {
        name: "empty messages",
        client: Whole(&[Send(Text(0)), Send(Binary(0)), Close]),
        server: Whole(&[Recv(2)]),
        ..BASE
    },
    Scenario {
        name: "a large message, a little at a time",
        capacity: 2000,
        client: Whole(&[Send(Binary(12_000)), Close]),
        ..BASE
    },
    Scenario {
        name: "a large message at once",
        capacity: 1 << 20,
        client: Whole(&[Recv(1), Close]),
        server: Whole(&[Send(Binary(30_000))]),
        ..BASE
    },
    Scenario {
        name: "a byte at a time",
        capacity: 3,
        client: Whole(&[Send(Text(10)), Close]),
        ..BASE
    },
    Scenario {
        name: "fragmented",
        configure: |client, server, _| {
            client.send_frame_size = Some(100);
            server.send_frame_size = Some(1000);
        },
        client: Whole(&[Send(Text(1200)), Recv(1), Close]),
        server: Whole(&[Recv(1), Send(Binary(5000))]),
        ..BASE
    },
    Scenario {
        name: "fragmented, received in chunks",
        capacity: 700,
        configure: |client, _, _| client.send_frame_size = Some(500),
        client: Whole(&[Send(Text(3000)), Send(Binary(400)), Close]),
        server: Whole(&[Chunked(2)]),
        ..BASE
    },
    Scenario {
        name: "in pieces",
        client: Whole(&[Chunks(&[10, 0, 400]), Send(Text(2)), Close]),
        ..BASE
    },
    Scenario {
        name: "streamed",
        client: Whole(&[Stream(&[10, 5000, 7]), Stream(&[]), Send(Text(2)), Close]),
        server: Whole(&[Recv(1), Chunked(1)]),
        ..BASE
    },
    Scenario {
        name: "in pieces, through a narrow pipe",
        capacity: 60,
        client: Whole(&[Chunks(&[100, 0, 400]), Stream(&[200, 100]), Recv(2), Close]),
        server: Split(&[Chunked(1)], &[&[Chunks(&[200, 3]), Stream(&[100])]]),
        ..BASE
    },
    Scenario {
        name: "streamed and dropped",
        lossy: true,
        client: Whole(&[Send(Text(5)), Leave(&[30, 60]), Send(Text(2))]),
        ..BASE
    },
    Scenario {
        name: "compressed, with a context",
        configure: |client, server, _| {
            compressed(client, true);
            compressed(server, true);
        },
        client: Whole(&[Send(Text(500)), Send(Text(500)), Recv(1), Close]),
        server: Whole(&[Recv(2), Send(Text(900))]),
        ..BASE
    },
    Scenario {
        name: "compressed, without one",
        configure: |client, server, _| {
            compressed(client, false);
            compressed(server, false);
        },
        client: Whole(&[Send(Text(500)), Send(Binary(500)), Recv(1), Close]),
        server: Whole(&[Recv(2), Send(Text(900))]),
        ..BASE
    },
    Scenario {
        name: "compressed in steps",
        configure: |client, server, _| {
            compressed(client, true);
            compressed(server, true);
        },
        client: Whole(&[Send(Text(70_000)), Close]),
        server: Whole(&[Chunked(1)]),
        ..BASE
    },
    Scenario {
        name: "compressed or not",
        configure: |client, server, _| {
            compressed(client, true);
            compressed(server, true);
        },
        client: Whole(&[Send(Text(300)), Plain(Text(300)), Send(Text(300)), Close]),
        ..BASE
    },
    Scenario {
        name: "prepared",
        client: Whole(&[Recv(2), Close]),
        server: Whole(&[Prepared(Text(100)), Prepared(Binary(6000))]),
        ..BASE
    },
    Scenario {
        name: "prepared and compressed",
        configure: |client, server, _| {
            compressed(client, false);
            compressed(server, false);
        },
        client: Whole(&[Recv(2), Close]),
        server: Whole(&[Prepared(Text(700)), Prepared(Text(6000))]),
        ..BASE
    },
    Scenario {
        name: "fed and flushed",
        client: Whole(&[
            Feed(Text(1)),
            Feed(Text(130)),
            Feed(Binary(9)),
            Flush,
            Close,
        ]),
        ..BASE
    },
    Scenario {
        name: "fed and closed",
        client: Whole(&[Feed(Text(1)), Feed(Text(130)), Feed(Binary(9000)), Close]),
        ..BASE
    },
    Scenario {
        name: "tried",
        client: Whole(&[TrySend(Text(100)), TrySend(Binary(100)), Close]),
        ..BASE
    },
    Scenario {
        name: "little may wait",
        capacity: 100,
        configure: |client, _, _| client.send_high_water = 50,
        client: Whole(&[
            Feed(Text(40)),
            Feed(Text(40)),
            Feed(Text(300)),
            Send(Text(1)),
            Close,
        ]),
        ..BASE
    },
    Scenario {
        name: "both send before they receive",
        capacity: 500,
        client: Whole(&[Send(Binary(2000)), Send(Text(1)), Recv(2), Close]),
        server: Whole(&[Send(Binary(2000)), Send(Text(1)), Recv(2)]),
        ..BASE
    },
    Scenario {
        name: "pinged and ponged",
        client: Whole(&[Ping, UntilPong, Pong, Send(Text(3)), Close]),
        server: Whole(&[UntilPing, Ping, UntilPong]),
        ..BASE
    },
    Scenario {
        name: "pinged within a message",
        client: Whole(&[Begin(10), Ping, UntilPong, Drop]),
        lossy: true,
        ..BASE
    },
    // The end.
    Scenario {
        name: "the client closes",
        client: Whole(&[Close]),
        server: Whole(&[UntilClose]),
        ..BASE
    },
    Scenario {
        name: "the server closes",
        server: Whole(&[Send(Text(3)), Close]),
        ..BASE
    },
    Scenario {
        name: "both close",
        client: Whole(&[Close]),
        server: Whole(&[Close]),
        ..BASE
    },
    Scenario {
        name: "closed without a code",
        client: Whole(&[Recv(1), CloseBare]),
        server: Whole(&[Send(Text(9))]),
        ..BASE
    },
    Scenario {
        name: "finished, and received to the end",
        client: Whole(&[Finish]),
        server: Whole(&[Send(Text(3)), Feed(Binary(300))]),
        lossy: true, // What is fed may come too late.
        ..BASE
    },
    Scenario {
        name: "answered behind what was to be sent",
        configure: |_, server, _| server.reply_to_close = false,
        client: Whole(&[Finish, Recv(2)]),
        server: Whole(&[UntilClose, Send(Text(3)), Send(Binary(300)), Close]),
        ..BASE
    },
    Scenario {
        name: "aborted",
        lossy: true,
        client: Whole(&[Send(Text(3)), Abort]),
        server: Whole(&[Recv(1)]),
        ..BASE
    },
    Scenario {
        name: "dropped",
        lossy: true,
        client: Whole(&[Send(Text(3)), Recv(1), Drop]),
        server: Whole(&[Recv(1), Send(Text(3))]),
        ..BASE
    },
    Scenario {
        name: "the end in the middle of a message",
        lossy: true,
        client: Whole(&[Send(Text(3)), Begin(3000), Drop]),
        server: Whole(&[Recv(1), Chunked(1)]),
        ..BASE
    },
    Scenario {
        name: "too large",
        lossy: true,
        configure: |_, server, _| server.max_message_size = 1000,
        client: Whole(&[Send(Text(1000)), Send(Text(1001)), Send(Text(3))]),
        ..BASE
    },
    // Time.
    Scenario {
        name: "idle, and kept alive",
        configure: |_, server, unit| server.keep_alive = Some(unit),
        client: Whole(&[UntilPing, UntilPing, Send(Text(1)), Close]),
        ..BASE
    },
    Scenario {
        name: "idle, and not alive",
        lossy: true,
        configure: |_, server, unit| {
            server.keep_alive = Some(unit);
            server.pong_timeout = Some(unit);
        },
        client: Whole(&[Send(Text(1)), Sleep(4), Close]),
        ..BASE
    },
    Scenario {
        name: "nothing is read",
        lossy: true,
        capacity: 1000,
        configure: |client, _, unit| client.write_timeout = Some(unit),
        client: Whole(&[Send(Text(3)), Send(Binary(5000)), Close]),
        server: Whole(&[Recv(1), Sleep(4)]),
        ..BASE
    },
    Scenario {
        name: "closed, and not answered",
        lossy: true,
        configure: |client, _, unit| client.close_timeout = Some(unit),
        client: Whole(&[Close]),
        server: Whole(&[Sleep(4)]),
        ..BASE
    },
    // Halves.
    Scenario {
        name: "both halves work",
        client: Split(&[Recv(3)], &[&[Send(Text(5)), Send(Binary(3000)), Ping]]),
        server: Split(
            &[Recv(2)],
            &[&[Send(Text(7)), Feed(Text(1)), Send(Text(9)), Sleep(1), Close]],
        ),
        ..BASE
    },
    Scenario {
        name: "three writers",
        capacity: 200,
        client: Split(
            &[],
            &[
                &[Send(Text(50)), Send(Text(150))],
                &[Send(Binary(400)), Send(Text(50))],
                &[Send(Text(50)), Feed(Text(50)), Flush],
            ],
        ),
        server: Whole(&[Recv(6), Close]),
        ..BASE
    },
    Scenario {
        name: "a write half closes",
        client: Split(&[], &[&[Send(Text(3)), Close]]),
        server: Whole(&[Recv(1)]),
        ..BASE
    },
    Scenario {
        name: "without a read half",
        lossy: true,
        client: Split(&[Drop], &[&[Send(Text(3)), Send(Text(3)), Close]]),
        server: Whole(&[Send(Binary(2000)), Recv(2)]),
        ..BASE
    },
    Scenario {
        name: "without a write half",
        client: Split(&[Recv(1)], &[]),
        server: Whole(&[Send(Text(4)), Close]),
        ..BASE
    },
    Scenario {
        name: "a stream holds others back",
        client: Split(
            &[],
            &[&[Stream(&[5, 300])], &[Ping, Send(Text(3)), Send(Text(4))]],
        ),
        server: Whole(&[Recv(3), Close]),
        ..BASE
    },
    Scenario {
        name: "a half's stream is dropped",
        lossy: true,
        client: Split(&[], &[&[Send(Text(3)), Leave(&[5, 30])]]),
        server: Whole(&[Recv(1)]),
        ..BASE
    },
    Scenario {
        name: "fed to one who reads",
        client: Split(&[Recv(1)], &[&[Feed(Text(3)), Feed(Text(300))]]),
        server: Whole(&[Recv(2), Send(Text(2)), Close]),
        ..BASE
    },
    Scenario {
        name: "a half aborts",
        lossy: true,
        client: Split(&[], &[&[Send(Text(3)), Abort]]),
        server: Whole(&[Recv(1)]),
        ..BASE
    },
];
