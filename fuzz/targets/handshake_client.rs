#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| harness::handshake_client::run(data));
