//! `weir-keeper`: the keeper as a program of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    weir_keeper::main(std::env::args_os().skip(1))
}
