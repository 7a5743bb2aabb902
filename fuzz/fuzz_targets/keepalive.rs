//! cargo-fuzz target: see `weir_fuzz::device::keepalive`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    weir_fuzz::device::keepalive(bytes);
});
