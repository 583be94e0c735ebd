//! The `experiments` verb: doubts about QEMU that were settled, asked again.
//!
//! Each `ci/experiments/NAME.qmp` opens with the doubt and its answer; `NAME.out` beside it is the
//! transcript that proves the answer. Running them again shows whether the QEMU at hand still
//! behaves that way. `NAME.system.qmp` needs the whole emulator, and is left out where only the
//! storage daemon is installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;

use crate::failure::Failure;
use crate::qmp::script;
use crate::qmp::session::{self, Options};
use crate::qmp::subject::Kind;
use crate::{repository, tools};

/// Run every experiment on the QEMU at hand and compare with the recorded transcripts.
///
/// Example: `cargo run -p ci -- experiments failed-write`
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only experiments whose name contains this.
    name: Option<String>,
    /// Record what QEMU says now in place of what was recorded.
    #[arg(long)]
    bless: bool,
}

/// The QEMU that the transcripts were recorded with.
const RECORDED_WITH: &str = "10.0.2";

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let wanted = args.name.as_deref().unwrap_or_default();
    let files = files(&repository().join("ci/experiments"), wanted)?;
    if files.is_empty() {
        return Err(Failure::input(format!(
            "no experiment has {wanted:?} in its name"
        )));
    }
    let mut different = 0;
    for file in &files {
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        let kind = if name.ends_with(".system") {
            Kind::System
        } else {
            Kind::Daemon
        };
        if kind == Kind::System && tools::find(kind.program()).is_none() {
            println!(
                "experiment {name}: skipped, because {} was not found",
                kind.program()
            );
            continue;
        }
        match experiment(file, kind, args.bless)? {
            None => println!("experiment {name}: as recorded"),
            Some(difference) if args.bless => println!("experiment {name}: {difference}"),
            Some(difference) => {
                different += 1;
                println!("experiment {name}: {difference}");
            }
        }
    }
    if different > 0 {
        return Err(Failure::check(format!(
            "{different} of {} experiments differ from their transcripts, recorded with QEMU \
             {RECORDED_WITH}; if the new answers are right: cargo run -p ci -- experiments --bless",
            files.len()
        )));
    }
    println!("{} experiments", files.len());
    Ok(())
}

fn files(folder: &Path, wanted: &str) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut files = Vec::new();
    for entry in entries {
        let file = entry?.path();
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        if file.extension().is_some_and(|extension| extension == "qmp") && name.contains(wanted) {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

/// Runs one; `None` when it went as recorded, else what is different.
fn experiment(file: &Path, kind: Kind, bless: bool) -> Result<Option<String>, Failure> {
    let name = file
        .strip_prefix(repository())
        .unwrap_or(file)
        .display()
        .to_string();
    let text = fs::read_to_string(file).with_context(|| name.clone())?;
    let script = script::parse(&text).map_err(|error| Failure::input(error.in_file(&name)))?;
    let options = Options {
        kind,
        drains: false,
        limit: Duration::from_secs(60),
    };
    let mut transcript = Vec::new();
    match session::run(&name, &script, &options, &mut transcript) {
        Err(Failure::Check(error)) => return Ok(Some(format!("{error:#}"))),
        other => other?,
    }
    let transcript = String::from_utf8_lossy(&transcript);
    let recorded = file.with_extension("out");
    let before = fs::read_to_string(&recorded).unwrap_or_default();
    let difference = difference(&before, &transcript);
    if bless && difference.is_some() {
        fs::write(&recorded, transcript.as_bytes()).with_context(|| name.clone())?;
        return Ok(Some("recorded anew".to_owned()));
    }
    Ok(difference)
}

/// The first line that differs, with its number in the recorded transcript.
fn difference(recorded: &str, now: &str) -> Option<String> {
    let (mut old, mut new) = (recorded.lines(), now.lines());
    let mut number = 0;
    loop {
        number += 1;
        let (old, new) = (old.next(), new.next());
        if old.is_none() && new.is_none() {
            return None;
        }
        if old != new {
            let show = |line: Option<&str>| line.unwrap_or("(the end)").trim().to_owned();
            let (old, new) = (show(old), show(new));
            return Some(format!(
                "line {number} differs\n  recorded: {old}\n  now:      {new}"
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::difference;

    #[test]
    fn the_first_difference_is_told_with_its_line() {
        assert_eq!(difference("a\nb\n", "a\nb\n"), None);
        let changed = "line 2 differs\n  recorded: b\n  now:      c";
        assert_eq!(difference("a\nb\n", "a\nc\n").as_deref(), Some(changed));
        let longer = "line 2 differs\n  recorded: (the end)\n  now:      b";
        assert_eq!(difference("a\n", "a\nb\n").as_deref(), Some(longer));
    }
}
