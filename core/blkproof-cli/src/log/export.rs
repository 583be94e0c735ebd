//! `blkproof log export`: a write log of what a scenario does to an image.

use std::io;

use blkproof::sweep::power::Done;
use blkproof_device::FileDisk;
use blkproof_device::write_log::{self, Writer};
use blkproof_spec::{ImageName, Length};

use crate::args::LogExportArgs;
use crate::error::Error;
use crate::exit::Exit;
use crate::json::{self, Record};
use crate::judge::Judge;
use crate::load::{self, Loaded};
use crate::out;
use crate::save;
use crate::ui::Ui;

/// Runs the scenario and writes the log.
pub(super) fn run(args: &LogExportArgs, ui: &mut Ui) -> Result<Exit, Error> {
    let file = match load::one(&args.file, ui)? {
        Ok(file) => file,
        Err(exit) => return Ok(exit),
    };
    out::probe_file(&args.out)?;
    let (image, recorded) = recorded(args, &file)?;
    let mut entries = 0;
    let write = |file: &mut std::fs::File| -> io::Result<()> {
        let mut log =
            Writer::new(FileDisk::new(file.try_clone()?), Length(args.sector)).map_err(other)?;
        write_log::export(&recorded.store, &image, &recorded.record, &mut log).map_err(other)?;
        entries = log.count();
        log.finish().map_err(other)?;
        Ok(())
    };
    save::replace_by(&args.out, write).map_err(Error::unwritable(&args.out))?;
    let (path, log) = (
        file.path.display().to_string(),
        args.out.display().to_string(),
    );
    ui.say(format_args!(
        "{path}: {entries} entries of {image} in {log}"
    ))?;
    ui.emit(&Record::LogExported(json::LogExported {
        path: &path,
        image: image.as_str(),
        log: &log,
        entries,
        sector: args.sector,
    }))?;
    Ok(Exit::Held)
}

fn other(error: impl ToString) -> io::Error {
    io::Error::other(error.to_string())
}

/// Runs the scenario; returns the image's name and what was done to the store.
fn recorded(args: &LogExportArgs, file: &Loaded) -> Result<(ImageName, Done), Error> {
    let scenario = &file.document.scenario;
    let not_done = |why: String| Error::NotDone {
        path: file.path.clone(),
        why,
    };
    let recorded = Judge::new().record(scenario).map_err(not_done)?;
    let first = scenario.setup.disks.first().map(|disk| &disk.name);
    let Some(image) = args.image.as_ref().or(first) else {
        return Err(not_done("there is no disk".to_owned()));
    };
    let is_made = |image: &ImageName| recorded.record.iter().any(|done| done.image == *image);
    if recorded.store.plain(image).is_err() && !is_made(image) {
        return Err(Error::NoSuchImage {
            path: file.path.clone(),
            image: image.clone(),
        });
    }
    Ok((image.clone(), recorded))
}
