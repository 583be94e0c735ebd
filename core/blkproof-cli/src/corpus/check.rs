//! `blkproof corpus check`: whether scenario files are in order.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use blkproof::text;
use indicatif::HumanCount;

use crate::args::PathsArgs;
use crate::error::Error;
use crate::exit::Exit;
use crate::json::{self, Record};
use crate::load::{self, Loaded};
use crate::ui::Ui;

/// Checks files and folders; names what is not in order.
pub(super) fn run(args: &PathsArgs, ui: &mut Ui) -> Result<Exit, Error> {
    let mut known = Known::default();
    let worst = load::each(&args.paths, ui, |file, ui| check(&file, &mut known, ui))?;
    if worst == Exit::Held {
        let all = HumanCount(known.count);
        ui.say(format_args!("all {all} scenarios are in order"))?;
    }
    Ok(worst)
}

/// The scenarios that were seen, by what they do.
#[derive(Default)]
struct Known {
    count: u64,
    by_text: BTreeMap<String, Vec<Titled>>,
}

/// A title, if there is one, and the file that has it.
type Titled = (Option<Box<str>>, PathBuf);

impl Known {
    /// Takes in a file; returns the one that is the same scenario, if there was one. Comments are
    /// for people and make no other scenario; nor does a title where the other has none. Where both
    /// have one, and not the same, the steps stand for two things.
    fn add(&mut self, file: &Loaded) -> Option<PathBuf> {
        self.count += 1;
        let mut scenario = file.document.scenario.clone();
        let title = scenario.title.take();
        let all = self.by_text.entry(text::print(&scenario)).or_default();
        // The same file may be named twice.
        if all.iter().any(|(_, path)| *path == file.path) {
            return None;
        }
        let is_same = |other: &Option<Box<str>>| match (other, &title) {
            (Some(other), Some(title)) => other == title,
            _ => true,
        };
        let same = all.iter().find(|(other, _)| is_same(other));
        let same = same.map(|(_, path)| path.clone());
        all.push((title, file.path.clone()));
        same
    }
}

fn check(file: &Loaded, known: &mut Known, ui: &mut Ui) -> Result<Exit, Error> {
    let path = file.path.display().to_string();
    let old = fs::read(&file.path).map_err(Error::unreadable(&file.path))?;
    let canonical = file.document.print().as_bytes() == old;
    let same = known.add(file).map(|same| same.display().to_string());
    if !canonical {
        ui.say(format_args!(
            "not canonical: {path}; `blkproof fmt` rewrites it"
        ))?;
    }
    if let Some(same) = &same {
        ui.say(format_args!("the same scenario as {same}: {path}"))?;
    }
    let is_in_order = canonical && same.is_none();
    ui.emit(&Record::Checked(json::Checked {
        path: &path,
        canonical,
        same_as: same.as_deref(),
    }))?;
    Ok(if is_in_order {
        Exit::Held
    } else {
        Exit::Failed
    })
}
