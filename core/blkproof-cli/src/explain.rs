//! `blkproof explain`: a failure told, and what of its scenario it takes.

use blkproof::explain::{self, Weighed, Weight};
use blkproof::shrink::fewest_lost;
use blkproof::text::Document;
use blkproof_spec::Scenario;

use crate::args::ExplainArgs;
use crate::error::Error;
use crate::exit::Exit;
use crate::json::{self, Record};
use crate::judge;
use crate::load;
use crate::shrink::{self, Failing};
use crate::tell;
use crate::ui::Ui;

/// How many runs the search may take for the fewest sectors whose loss is enough.
const FEWEST_MAX: u64 = 300;

/// Explains how a file fails.
pub(crate) fn run(args: &ExplainArgs, ui: &mut Ui) -> Result<Exit, Error> {
    let file = match load::one(&args.file, ui)? {
        Ok(file) => file,
        Err(exit) => return Ok(exit),
    };
    let mut judge = judge::of_bugs(&args.bug);
    let Failing { failure, keep } = Failing::of(&file, args.keep.as_deref(), &mut judge)?;
    let path = file.path.display().to_string();
    let mut report = tell::report(&failure, &file.document, &path, &args.bug, ui);
    let mut run = |scenario: &Scenario| shrink::judged(&mut judge, scenario, keep);
    let scenario = &file.document.scenario;
    if let Some(fewest) = fewest_lost(scenario, &failure, keep, FEWEST_MAX, &mut run) {
        let document = Document::of(fewest.scenario);
        report.cuts = tell::report(&fewest.failure, &document, &path, &args.bug, ui).cuts;
    }
    let told = explain::explain(&file.document, &failure, keep, report, &mut run);
    ui.say(told.render())?;
    let weighed = told.rules.iter().chain(&told.steps).map(record);
    ui.emit(&Record::Explained(Box::new(json::Explained {
        identity: keep.to_string(),
        runs: told.runs,
        parts: weighed.collect(),
        failure: json::Failure::from(told.report),
    })))?;
    Ok(shrink::exit(&file.document.scenario, &failure))
}

fn record(part: &Weighed) -> json::Part {
    json::Part {
        step: part.step,
        line: part.line,
        what: part.what.clone(),
        fault: part.fault.is_some(),
        budget: part.fault.map(|verdict| verdict.budget().name()),
        weight: match part.weight {
            Weight::Fails => "fails",
            Weight::Needed(_) => "needed",
            Weight::Irrelevant => "irrelevant",
            _ => "not-weighed",
        },
        instead: match &part.weight {
            Weight::Needed(instead) => Some(instead.clone()),
            _ => None,
        },
    }
}
