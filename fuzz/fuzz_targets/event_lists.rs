#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| vrrp_fsm::fuzzing::event_lists(data));
