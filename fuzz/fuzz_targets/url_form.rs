//! cargo-fuzz target: see `weir_fuzz::routing::url_form`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    weir_fuzz::routing::url_form(bytes);
});
