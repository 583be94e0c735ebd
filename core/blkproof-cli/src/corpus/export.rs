//! `blkproof corpus export`: scenario files as inputs for a fuzzer.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use blkproof::Case;

use crate::args::ExportArgs;
use crate::error::Error;
use crate::exit::Exit;
use crate::json::{self, Record};
use crate::load::{self, Loaded};
use crate::out::Out;
use crate::ui::Ui;

/// Writes an input for each scenario, named as its file is.
pub(super) fn run(args: &ExportArgs, ui: &mut Ui) -> Result<Exit, Error> {
    let _out = Out::open("--out", &args.out)?;
    let mut taken = BTreeMap::new();
    load::each(&args.paths, ui, |file, ui| {
        export(&file, &args.out, &mut taken, ui)
    })
}

fn export(
    file: &Loaded,
    out: &Path,
    taken: &mut BTreeMap<PathBuf, PathBuf>,
    ui: &mut Ui,
) -> Result<Exit, Error> {
    let input = out.join(file.path.file_stem().unwrap_or_default());
    // Of two scenarios of one name, none silently replaces the other.
    if let Some(first) = taken.get(&input)
        && *first != file.path
    {
        let error = Error::SameName {
            path: file.path.clone(),
            first: first.clone(),
            input,
        };
        return Ok(ui.fail(&error));
    }
    let bytes = Case::encode(&file.document.scenario);
    super::write(&input, &bytes)?;
    let (path, name) = (file.path.display(), input.display());
    ui.say(format_args!("{path}: {name}"))?;
    ui.emit(&Record::Exported(json::Exported {
        path: &path.to_string(),
        input: &name.to_string(),
    }))?;
    taken.insert(input, file.path.clone());
    Ok(Exit::Held)
}
