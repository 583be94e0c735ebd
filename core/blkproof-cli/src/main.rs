//! The `blkproof` program; everything it does is in the library beside it.

use std::process::ExitCode;

fn main() -> ExitCode {
    blkproof_cli::run(std::env::args_os()).into()
}
