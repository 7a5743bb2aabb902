//! cargo-fuzz target: see `weir_fuzz::device::keeper_message`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    weir_fuzz::device::keeper_message(bytes);
});
