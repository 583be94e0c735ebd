//! `blkproof log`: write logs, exchanged with QEMU's blklogwrites and Linux' dm-log-writes.

mod export;

mod sweep;

use crate::args::{LogArgs, LogCommand};
use crate::error::Error;
use crate::exit::Exit;
use crate::ui::Ui;

/// Does what is asked for.
pub(crate) fn run(args: &LogArgs, ui: &mut Ui) -> Result<Exit, Error> {
    match &args.command {
        LogCommand::Export(args) => export::run(args, ui),
        LogCommand::Sweep(args) => sweep::run(args, ui),
    }
}
