//! `blkproof corpus`: folders of scenario files looked after, and the way to fuzzers and back.

mod check;

mod export;

mod import;

mod minimise;

use std::path::Path;

use blkproof::text;

use crate::args::{CaseArgs, CorpusArgs, CorpusCommand, profiles};
use crate::campaign;
use crate::error::Error;
use crate::exit::Exit;
use crate::json::{self, Record};
use crate::save;
use crate::ui::Ui;

/// Does what is asked for.
pub(crate) fn run(args: &CorpusArgs, ui: &mut Ui) -> Result<Exit, Error> {
    match &args.command {
        CorpusCommand::Check(args) => check::run(args, ui),
        CorpusCommand::Minimise(args) => minimise::run(args, ui),
        CorpusCommand::Import(args) => import::run(args, ui),
        CorpusCommand::Export(args) => export::run(args, ui),
        CorpusCommand::Case(args) => case(args, ui),
    }
}

/// Prints a case of a campaign.
fn case(args: &CaseArgs, ui: &mut Ui) -> Result<Exit, Error> {
    let profiles = profiles(&args.profile);
    let scenario = campaign::case(args.seed.0, args.number, &profiles);
    let text = text::print(&scenario);
    ui.say(text.trim_end())?;
    ui.emit(&Record::MadeUp(json::MadeUp {
        number: args.number,
        scenario: &text,
    }))?;
    Ok(Exit::Held)
}

/// Writes a file whole or not at all.
fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    save::replace(path, bytes).map_err(Error::unwritable(path))
}
