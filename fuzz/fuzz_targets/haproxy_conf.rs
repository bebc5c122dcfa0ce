#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ha_lb::config::fuzzing::haproxy(data));
