//! `blkproof shrink`: a smaller scenario with the same failure.

use core::ops::ControlFlow;
use std::path::{Path, PathBuf};

use blkproof::corpus;
use blkproof::shrink::{Progress, Shrunk};
use blkproof::text::{self, Document};
use blkproof::{Counts, Failure, Identity, Outcome};
use blkproof_spec::{Property, Scenario, StatedOutcome};
use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget};

use crate::args::{BugName, ShrinkArgs};
use crate::error::Error;
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::json::{self, Record};
use crate::judge::{self, Judge};
use crate::load::{self, Loaded};
use crate::out;
use crate::save;
use crate::tell;
use crate::ui::Ui;

/// Shrinks a file. The best so far is always on disk, and where it lies there already from an
/// earlier call, that is where this one goes on.
pub(crate) fn run(args: &ShrinkArgs, ui: &mut Ui) -> Result<Exit, Error> {
    let file = match load::one(&args.file, ui)? {
        Ok(file) => file,
        Err(exit) => return Ok(exit),
    };
    let out = args.out.clone().unwrap_or_else(|| beside(&args.file));
    out::probe_file(&out)?;
    let interrupt = Interrupt::listen().map_err(Error::Signals)?;
    let mut judge = judge::of_bugs(&args.bug);
    let failing = Failing::of(&file, args.keep.as_deref(), &mut judge)?;
    let (start, went_on) = match earlier(&out, &file, failing.keep, &mut judge)? {
        Some(earlier) => (earlier, true),
        None => ((file.document.scenario.clone(), failing.failure), false),
    };
    if went_on {
        ui.note(format_args!("shrink: going on from {}", out.display()));
    }
    let mut keeper = Keeper::new(&out, start.0.steps.len(), ui);
    keeper.save(&start.0)?;
    let limit = args.runs.0;
    let shrunk = smaller(
        &mut judge,
        &interrupt,
        &start.0,
        &start.1,
        failing.keep,
        limit,
        &mut |progress| keeper.improved(progress),
    );
    keeper.finish()?;
    let told = say(&file, &out, failing.keep, &shrunk, &args.bug, ui)?;
    if interrupt.came() {
        ui.note("interrupted: this is the smallest so far");
        return Ok(told.max(Exit::Interrupted));
    }
    Ok(told)
}

/// Shrinks a scenario on the built-in engine. Once somebody interrupts, nothing is run any more,
/// and what was not run counts as what does not fail: the smallest so far is the result.
pub(crate) fn smaller(
    judge: &mut Judge,
    interrupt: &Interrupt,
    scenario: &Scenario,
    failure: &Failure,
    keep: Identity,
    runs_max: u64,
    watch: &mut dyn FnMut(Progress<'_>) -> ControlFlow<()>,
) -> Shrunk {
    let mut runs = 0;
    let mut run = |candidate: &Scenario| {
        if interrupt.came() {
            return Outcome::Held(Counts::default());
        }
        runs += 1;
        judged(judge, candidate, keep)
    };
    let mut shrunk = blkproof::shrink::shrink(scenario, failure, keep, runs_max, &mut run, watch);
    shrunk.runs = runs;
    shrunk.complete &= !interrupt.came();
    shrunk
}

/// Judges a scenario, twice where the failure is that two runs differ.
pub(crate) fn judged(judge: &mut Judge, scenario: &Scenario, keep: Identity) -> Outcome {
    if keep.what == Property::Deterministic.name() {
        judge.judge_twice(scenario)
    } else {
        judge.judge(scenario)
    }
}

/// A file that fails, and the identity by which its failure is known again.
pub(crate) struct Failing {
    pub(crate) failure: Box<Failure>,
    pub(crate) keep: Identity,
}

impl Failing {
    /// Judges a file, which has to fail. The identity is the one asked for, else the one that the
    /// file states, else the first.
    pub(crate) fn of(file: &Loaded, asked: Option<&str>, judge: &mut Judge) -> Result<Self, Error> {
        let scenario = &file.document.scenario;
        let path = || file.path.clone();
        let Outcome::Failed(failure) = judge.judge_twice(scenario) else {
            return Err(Error::DoesNotFail { path: path() });
        };
        let identities = failure.identities();
        let Some(telling) = blkproof::shrink::identity(&failure) else {
            return Err(Error::DoesNotFail { path: path() });
        };
        let named = |name: &str| identities.iter().find(|identity| identity.what == name);
        let keep = match (asked, &scenario.outcome) {
            (Some(name), _) => *named(name).ok_or_else(|| Error::FailsOtherwise {
                path: path(),
                asked: name.to_owned(),
                found: identities.iter().map(ToString::to_string).collect(),
            })?,
            (None, StatedOutcome::Fail(name)) => *named(name.as_str()).unwrap_or(&telling),
            (None, StatedOutcome::Pass) => telling,
        };
        Ok(Self { failure, keep })
    }
}

/// Returns where the smaller scenario of a file goes if nothing is said.
pub(crate) fn beside(file: &Path) -> PathBuf {
    file.with_extension(format!("min.{}", corpus::EXTENSION))
}

/// Returns what an earlier call left, if it fails in the same way.
fn earlier(
    out: &Path,
    file: &Loaded,
    keep: Identity,
    judge: &mut Judge,
) -> Result<Option<(Scenario, Box<Failure>)>, Error> {
    if !out.exists() {
        return Ok(None);
    }
    // What is no scenario is not ours to replace.
    let scenario = corpus::load(out)?.scenario;
    if scenario.title != file.document.scenario.title {
        return Ok(None);
    }
    Ok(match judged(judge, &scenario, keep) {
        Outcome::Failed(failure) if failure.identities().contains(&keep) => {
            Some((scenario, failure))
        }
        _ => None,
    })
}

/// Keeps the best so far on disk, and shows how far the shrinking is.
struct Keeper<'a> {
    out: &'a Path,
    bar: Option<ProgressBar>,
    steps: usize,
    failed: Option<Error>,
    ui: &'a mut Ui,
}

impl<'a> Keeper<'a> {
    fn new(out: &'a Path, steps: usize, ui: &'a mut Ui) -> Self {
        let target = ProgressDrawTarget::stderr();
        Self {
            out,
            bar: ui
                .is_watched()
                .then(|| ProgressBar::with_draw_target(None, target)),
            steps,
            failed: None,
            ui,
        }
    }

    fn save(&self, scenario: &Scenario) -> Result<(), Error> {
        let text = text::print(scenario);
        save::replace(self.out, text.as_bytes()).map_err(Error::unwritable(self.out))
    }

    fn improved(&mut self, progress: Progress<'_>) -> ControlFlow<()> {
        if let Err(error) = self.save(progress.scenario) {
            self.failed = Some(error);
            return ControlFlow::Break(());
        }
        let steps = progress.scenario.steps.len();
        let message = format!("shrink: {steps} steps left, {} runs", progress.runs);
        match &self.bar {
            Some(bar) => bar.set_message(message),
            None if steps < self.steps => self.ui.note(message),
            None => {}
        }
        self.steps = steps;
        ControlFlow::Continue(())
    }

    fn finish(self) -> Result<(), Error> {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        self.failed.map_or(Ok(()), Err)
    }
}

fn say(
    file: &Loaded,
    out: &Path,
    keep: Identity,
    shrunk: &Shrunk,
    bugs: &[BugName],
    ui: &mut Ui,
) -> Result<Exit, Error> {
    let path = out.display().to_string();
    let document = Document::of(shrunk.scenario.clone());
    let report = tell::report(&shrunk.failure, &document, &path, bugs, ui);
    let (from, to) = (
        file.document.scenario.steps.len(),
        shrunk.scenario.steps.len(),
    );
    ui.say(format_args!(
        "{path}: {from} steps became {to} in {} runs{}\n",
        HumanCount(shrunk.runs),
        if shrunk.complete {
            ""
        } else {
            ", and could become fewer: call it again"
        },
    ))?;
    ui.say(format_args!("{}", document.print()))?;
    ui.say(report.render())?;
    ui.emit(&Record::Shrunk(Box::new(json::Shrunk {
        path: &file.path.display().to_string(),
        identity: keep.to_string(),
        steps_before: from,
        steps_after: to,
        runs: shrunk.runs,
        complete: shrunk.complete,
        failure: json::Failure::from(report),
    })))?;
    Ok(exit(&shrunk.scenario, &shrunk.failure))
}

/// Returns how the program ends with a scenario that fails: well where it states that.
pub(crate) fn exit(scenario: &Scenario, failure: &Failure) -> Exit {
    match &scenario.outcome {
        StatedOutcome::Fail(name) if failure.breaks(name.as_str()) => Exit::Held,
        _ => Exit::Failed,
    }
}
