#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| vrrp_proto::fuzzing::auth_hmac(data));
