#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| testing::bodies::proxy_protocol::run(data));
