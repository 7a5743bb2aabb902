//! cargo-fuzz target: see `weir_fuzz::release::archive`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    weir_fuzz::release::archive(bytes);
});
