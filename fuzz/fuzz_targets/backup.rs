//! cargo-fuzz target: see `weir_fuzz::backup::file`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    weir_fuzz::backup::file(bytes);
});
