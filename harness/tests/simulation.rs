//! Seeded conversations: thousands in each run of the tests, any of them again by its seed.

use bowline_harness::{connection, pair};

fn bytes(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03;
    let mut next = || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    };
    let len = 32 << (next() % 5);
    (0..len).map(|_| next() as u8).collect()
}

#[test]
fn connections() {
    all(connection::run);
}

#[test]
fn pairs() {
    all(pair::run);
}

fn all(run: fn(&[u8])) {
    let one = std::env::var("BOWLINE_SEED")
        .ok()
        .map(|s| s.parse().unwrap());
    if let Some(seed) = one {
        return run(&bytes(seed));
    }
    let runs = std::env::var("BOWLINE_RUNS").map_or(1000, |s| s.parse().unwrap());
    let mut failed = 0;
    for seed in 0..runs {
        let data = bytes(seed);
        if let Err(_) = std::panic::catch_unwind(|| run(&data)) {
            eprintln!("seed {seed}");
            failed += 1;
            if failed > 8 {
                break;
            }
        }
    }
    assert_eq!(failed, 0);
}
