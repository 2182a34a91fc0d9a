//! Law 10: idle costs nothing. The memory is counted in `memory.rs`.

use bowline_proto::Role;
use testing::{
    ends::{End, payload},
    frames::{Frame, PING},
};

#[test]
fn law_10_a_server_draws_no_randomness() {
    let mut end = End::with(Role::Server, |config| {
        config.entropy = |_| panic!("a server masks nothing");
    });
    end.conn.send(vec![7; 10_000]).unwrap();
    end.conn.ping(payload("x")).unwrap();
    end.give(&[Frame::new(PING, ""), Frame::close(1000, "")]);
    assert_eq!(end.write().len(), 4);
}
