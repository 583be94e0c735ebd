//! `blkproof fmt`: scenario files in canonical form.

use std::fs;

use crate::args::FmtArgs;
use crate::error::Error;
use crate::exit::Exit;
use crate::json::{self, Record};
use crate::load::{self, Loaded};
use crate::save;
use crate::ui::Ui;

/// Rewrites files that are not canonical, or only names them.
pub(crate) fn run(args: &FmtArgs, ui: &mut Ui) -> Result<Exit, Error> {
    load::each(&args.paths, ui, |file, ui| format(&file, args.check, ui))
}

fn format(file: &Loaded, check: bool, ui: &mut Ui) -> Result<Exit, Error> {
    let path = file.path.display().to_string();
    let text = file.document.print();
    let old = fs::read(&file.path).map_err(Error::unreadable(&file.path))?;
    let canonical = text.as_bytes() == old;
    let rewrite = !canonical && !check;
    if rewrite {
        // A symbolic link stays one: what it leads to is replaced.
        let real = fs::canonicalize(&file.path).map_err(Error::unreadable(&file.path))?;
        save::replace(&real, text.as_bytes()).map_err(Error::unwritable(&file.path))?;
    }
    match (canonical, check) {
        (true, _) => (),
        (false, true) => ui.say(format_args!("not canonical: {path}"))?,
        (false, false) => ui.say(format_args!("rewritten: {path}"))?,
    }
    ui.emit(&Record::Formatted(json::Formatted {
        path: &path,
        canonical,
        rewritten: rewrite,
    }))?;
    let failed = check && !canonical;
    Ok(if failed { Exit::Failed } else { Exit::Held })
}
