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
    by_text: BTreeMap<String, PathBuf>,
}

impl Known {
    /// Takes in a file; returns the one that is the same scenario, if there was one. Comments and
    /// titles are for people and make no other scenario.
    fn add(&mut self, file: &Loaded) -> Option<PathBuf> {
        self.count += 1;
        let mut scenario = file.document.scenario.clone();
        scenario.title = None;
        let text = text::print(&scenario);
        if let Some(same) = self.by_text.get(&text) {
            // The same file may be named twice.
            return (*same != file.path).then(|| same.clone());
        }
        self.by_text.insert(text, file.path.clone());
        None
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
