#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| testing::bodies::no_proxy::run(data));
