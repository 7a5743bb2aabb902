//! cargo-fuzz target: see `weir_fuzz::http::chunked`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    weir_fuzz::http::chunked(bytes);
});
