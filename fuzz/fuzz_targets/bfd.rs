#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ha_lb::bfd::fuzzing::packets(data));
