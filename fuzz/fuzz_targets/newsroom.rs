#![no_main]
#[path = "../../tests/faults/doors/door.rs"]
mod door;
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| door::knock("newsroom", bytes));
