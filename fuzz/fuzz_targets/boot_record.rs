//! cargo-fuzz target: see `weir_fuzz::slots::boot_record`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    weir_fuzz::slots::boot_record(bytes);
});
