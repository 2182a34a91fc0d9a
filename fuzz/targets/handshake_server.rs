#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| harness::handshake_server::run(data));
