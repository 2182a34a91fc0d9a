use std::time::Duration;

use proto::{
    Config, KeepAlive,
    deflate::{Agreed, Deflate, Window},
};

use crate::bodies::{choices::Choices, entropy};

/// Returns limits, deadlines and policy for one end.
pub(crate) fn config(choices: &mut Choices<'_>) -> Config {
    let mut config = Config::new(entropy::draw);
    if choices.one_in(3) {
        config.max_message_size = choices.of(&[1 << 20, 0, 1, 125, 126, 1000, 5000, 70_000]);
        config.max_frame_size = choices.of(&[
            None,
            Some(0),
            Some(100),
            Some(125),
            Some(1000),
            Some(65_535),
        ]);
        config.max_stream_size = choices.of(&[u64::MAX, 0, 10, 1000, 70_000]);
        config.max_fragments = choices.of(&[16_384, 0, 1, 2, 5]);
        config.max_send_size = choices.of(&[usize::MAX, 0, 125, 1000]);
    }
    config.send_frame_size = match choices.below(8) {
        0 => Some(choices.of(&[100, 0, 1, 2])),
        1 | 2 => Some(choices.of(&[5000, 100, 1000, 65_536])),
        _ => None,
    };
    config.send_high_water = choices.of(&[64 << 10, 0, 1, 500]);
    let after = |choices: &mut Choices<'_>, which: usize, usual: Duration| match which {
        0 | 1 => Some(usual),
        2 => None,
        _ => Some(Duration::from_millis(1 << choices.below(18))),
    };
    // One byte chooses both options, so that older inputs still mean the same.
    let keep_alive = choices.below(16);
    config.keep_alive_kind = match keep_alive / 4 {
        3 => KeepAlive::Pong,
        _ => KeepAlive::Ping,
    };
    config.keep_alive = after(choices, keep_alive % 4, Duration::from_secs(20));
    let mut after = |usual| {
        let which = choices.below(4);
        after(choices, which, usual)
    };
    config.pong_timeout = after(Duration::from_secs(20));
    config.close_timeout = after(Duration::from_secs(5));
    config.write_timeout = after(Duration::from_secs(20));
    if choices.one_in(4) {
        config.message_timeout = Some(Duration::from_millis(1 << choices.below(16)));
    }
    if choices.one_in(4) {
        config.idle_timeout = Some(Duration::from_millis(1 << choices.below(18)));
    }
    config.reply_to_close = !choices.one_in(4);
    if choices.flip() {
        config.deflate = Some(deflate(choices));
    }
    config
}

pub(crate) fn deflate(choices: &mut Choices<'_>) -> Deflate {
    let mut deflate = Deflate::default();
    deflate.level = choices.of(&[1, 6, 9, 0, 255]);
    deflate.memory_level = choices.of(&[8, 1, 5, 9]);
    deflate.threshold = choices.of(&[64, 0, 1000]);
    let agreed = agreed(choices);
    (deflate.send, deflate.recv) = (agreed.send, agreed.recv);
    deflate
}

pub(crate) fn agreed(choices: &mut Choices<'_>) -> Agreed {
    let mut window = || Window {
        bits: choices.of(&[15, 15, 15, 12, 9, 8]),
        takeover: choices.flip(),
    };
    Agreed {
        send: window(),
        recv: window(),
    }
}
