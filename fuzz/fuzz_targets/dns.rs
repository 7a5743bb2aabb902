//! cargo-fuzz target: see `weir_fuzz::dns::dns`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    weir_fuzz::dns::dns(bytes);
});
