//! The configuration: its setters, and the randomness of its default.

use std::time::Duration;

use bowline_proto::{Config, KeepAlive};

#[test]
fn each_setter_sets_the_field_of_its_name() {
    let second = Duration::from_secs(1);
    let config = Config::new(|_| Ok(()))
        .max_message_size(1)
        .max_frame_size(Some(2))
        .max_stream_size(3)
        .max_fragments(4)
        .max_send_size(5)
        .send_frame_size(Some(6))
        .send_high_water(7)
        .keep_alive(second)
        .keep_alive_kind(KeepAlive::Pong)
        .pong_timeout(2 * second)
        .close_timeout(3 * second)
        .write_timeout(4 * second)
        .message_timeout(5 * second)
        .idle_timeout(6 * second)
        .reply_to_close(false)
        .handshake_timeout(7 * second)
        .max_head_size(8)
        .max_head_line(9)
        .max_head_fields(10)
        .max_interim_responses(11)
        .max_error_body(12)
        .require_subprotocol(true);
    assert_eq!(
        (
            config.max_message_size,
            config.max_frame_size,
            config.max_stream_size,
            config.max_fragments,
            config.max_send_size,
            config.send_frame_size,
            config.send_high_water,
        ),
        (1, Some(2), 3, 4, 5, Some(6), 7)
    );
    assert_eq!(config.keep_alive_kind, KeepAlive::Pong);
    assert_eq!(
        [
            config.keep_alive,
            config.pong_timeout,
            config.close_timeout,
            config.write_timeout,
            config.message_timeout,
            config.idle_timeout,
            config.handshake_timeout,
        ],
        [1, 2, 3, 4, 5, 6, 7].map(|seconds| Some(seconds * second))
    );
    assert_eq!(
        (
            config.reply_to_close,
            config.max_head_size,
            config.max_head_line,
            config.max_head_fields,
            config.max_interim_responses,
            config.max_error_body,
            config.require_subprotocol,
        ),
        (false, 8, 9, 10, 11, 12, true)
    );
}

#[test]
fn none_turns_a_deadline_off() {
    let config = Config::new(|_| Ok(())).keep_alive(None).close_timeout(None);
    assert_eq!((config.keep_alive, config.close_timeout), (None, None));
}

#[cfg(feature = "deflate")]
#[test]
fn the_setter_of_compression_sets_it() {
    use bowline_proto::deflate::Deflate;
    let config = Config::new(|_| Ok(())).deflate(Deflate::default());
    assert!(config.deflate.is_some());
}

#[cfg(feature = "getrandom")]
#[test]
fn the_default_draws_from_the_operating_system() {
    let (mut a, mut b) = ([0; 32], [0; 32]);
    let entropy = Config::default().entropy;
    entropy(&mut a).unwrap();
    entropy(&mut b).unwrap();
    assert!(a != [0; 32] && a != b);
}
