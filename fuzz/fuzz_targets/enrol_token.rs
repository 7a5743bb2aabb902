//! cargo-fuzz target: see `weir_fuzz::device::enrol_token`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    weir_fuzz::device::enrol_token(bytes);
});
