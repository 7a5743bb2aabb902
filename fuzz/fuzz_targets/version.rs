//! cargo-fuzz target: see `weir_fuzz::names::version`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    weir_fuzz::names::version(bytes);
});
