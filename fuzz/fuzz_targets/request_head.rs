//! cargo-fuzz target: see `weir_fuzz::http::request_head`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    weir_fuzz::http::request_head(bytes);
});
