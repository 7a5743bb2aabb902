//! cargo-fuzz target: see `weir_fuzz::manager::journal`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    weir_fuzz::manager::journal(bytes);
});
