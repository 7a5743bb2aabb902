//! cargo-fuzz target: see `weir_fuzz::caching::vary`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    weir_fuzz::caching::vary(bytes);
});
