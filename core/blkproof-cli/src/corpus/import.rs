//! `blkproof corpus import`: inputs of a fuzzer as scenario files.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use blkproof::text::{MAX_TEXT, print};
use blkproof::{Case, Outcome};
use blkproof_engine::Bugs;
use blkproof_spec::Scenario;

use crate::args::ImportArgs;
use crate::error::Error;
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::json::{self, Record};
use crate::judge::Judge;
use crate::keep::{Keeper, file_name};
use crate::out::Out;
use crate::ui::Ui;

/// Makes scenario files of inputs, judges them, and reports those that fail.
pub(super) fn run(args: &ImportArgs, ui: &mut Ui) -> Result<Exit, Error> {
    let bugs = args
        .bug
        .iter()
        .fold(Bugs::NONE, |bugs, bug| bugs.with(bug.0));
    let mut judge = Judge::with_bugs(bugs);
    let _out = Out::open("--out", args.out())?;
    let interrupt = Interrupt::listen().map_err(Error::Signals)?;
    let mut keeper = Keeper::new(args.out(), &[], &interrupt);
    let mut worst = Exit::Held;
    for input in &args.inputs {
        let files = match inputs(input) {
            Ok(files) => files,
            Err(error) => {
                worst = worst.max(ui.fail(&error));
                continue;
            }
        };
        for file in files {
            if interrupt.came() {
                ui.note(format_args!("interrupted before {}", file.display()));
                return Ok(worst.max(Exit::Interrupted).max(keeper.finish(ui)));
            }
            match read(&file) {
                Ok(bytes) => {
                    let profile = args.profile.as_ref().map(|profile| &profile.profile);
                    let mut scenario = Case::from_fuzzer(&bytes, profile).into_scenario();
                    scenario.title = Some(title(&file).into());
                    take(&file, scenario, args.out(), &mut judge, &mut keeper, ui)?;
                }
                Err(error) => worst = worst.max(ui.fail(&error)),
            }
        }
    }
    Ok(worst.max(keeper.finish(ui)))
}

/// Returns the inputs that a path stands for: itself, or the files right in it, sorted.
fn inputs(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let metadata = fs::metadata(path).map_err(Error::unreadable(path))?;
    if !metadata.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(path).map_err(Error::unreadable(path))? {
        let entry = entry.map_err(Error::unreadable(path))?;
        if entry.path().is_file() {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// Reads an input, which is no longer than a scenario's text may be.
fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let limit = MAX_TEXT as u64;
    let mut bytes = Vec::new();
    let read = File::open(path)
        .and_then(|file| file.take(limit + 1).read_to_end(&mut bytes))
        .and_then(|len| match len {
            len if len > MAX_TEXT => Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!("it has more than {MAX_TEXT} bytes"),
            )),
            _ => Ok(()),
        });
    read.map_err(Error::unreadable(path))?;
    Ok(bytes)
}

/// Names the input in the scenario. Anything may be in the name of a file, but not in a title.
fn title(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let plain: String = name.chars().filter(|c| !c.is_control()).collect();
    format!("made by a fuzzer: {}", plain.trim())
}

fn take(
    input: &Path,
    scenario: Scenario,
    out: &Path,
    judge: &mut Judge,
    keeper: &mut Keeper<'_>,
    ui: &mut Ui,
) -> Result<(), Error> {
    let name = file_name(&input.file_name().unwrap_or_default().to_string_lossy());
    let path = out.join(&name);
    let shown = path.display().to_string();
    // It is written down before it is judged: a run may not come back.
    super::write(&path, print(&scenario).as_bytes())?;
    let outcome = judge.judge_twice(&scenario);
    let word = match &outcome {
        Outcome::Held(_) => "held",
        Outcome::Failed(_) => "failed",
        Outcome::NotJudged(..) => "not-judged",
    };
    ui.emit(&Record::Imported(json::Imported {
        input: &input.display().to_string(),
        path: &shown,
        outcome: word,
    }))?;
    match outcome {
        Outcome::Failed(failure) => {
            keeper.keep(&name, scenario, &failure, None, ui)?;
            let shrink = ui.command(["shrink", &shown]);
            ui.say(format_args!("  make it smaller: {shrink}\n"))
        }
        Outcome::Held(_) => ui.say(format_args!("{shown}: everything held")),
        Outcome::NotJudged(..) => ui.say(format_args!("{shown}: it counts for nothing")),
    }
}
