//! What a check judges, in which order, and what becomes of what fails.

use core::ops::ControlFlow;
use std::path::{Path, PathBuf};

use blkproof_spec::model::Violation;
use blkproof_spec::{Capabilities, Scenario, StepNumber};

use super::claims;
use super::judged::Judged;
use super::kept::Kept;
use super::rounds;
use super::surroundings::Surroundings;
use super::watched::{Call, Now};
use crate::corpus::{self, CorpusError};
use crate::generate::{self, Profile};
use crate::known::{Known, Sightings};
use crate::outcome::{Counts, Failure, Finding, Moment, Outcome};
use crate::report::Report;
use crate::shrink::{identity, shrink};
use crate::text::Document;

/// How many candidates the shrinking of a failure runs at most.
const CANDIDATES_MAX: u64 = 2000;

/// How many of them, where each takes a process of its own.
const PROCESSES_MAX: u64 = 120;

/// How often a case is run twice: each time its number divides by this.
const TWICE_EVERY: u64 = 16;

/// What a check judges.
#[derive(Clone, Debug)]
pub(super) struct Campaign {
    pub(super) around: Surroundings,
    pub(super) seed: u64,
    pub(super) cases: u64,
    pub(super) profile: Profile,
    pub(super) kept: Option<Kept>,
    pub(super) known: Known,
    /// Whether runs are compared.
    pub(super) compares: bool,
}

/// Which scenario is judged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum What {
    /// That of a file, which is shown like this.
    File(PathBuf),
    /// The made-up one of this number.
    Case(u64),
    /// A smaller one in its place.
    Candidate(u64),
    /// The one that shows whether the subject has this capability.
    Claim(&'static str),
}

/// Who judges scenarios.
pub(super) type Judge<'a> = dyn FnMut(&What, &Scenario) -> Outcome + 'a;

/// Runs a candidate in a process of its own.
pub(super) type Again<'a> = dyn FnMut(&Scenario) -> Outcome + 'a;

impl Campaign {
    /// Judges everything, until something fails: then the report is returned.
    pub(super) fn judge(
        &self,
        can: &Capabilities,
        judge: &mut Judge<'_>,
    ) -> Result<Judged, String> {
        if let Some(file) = &self.around.replay {
            return self.replay(file, judge);
        }
        let mut judged = Judged::new(&self.known);
        if let Some(kept) = &self.kept {
            for file in kept.files().map_err(unreadable)? {
                self.kept_one(kept, &file, judge, &mut judged)?;
            }
        }
        for (name, scenario) in claims::scenarios(can) {
            let outcome = judge(&What::Claim(name), &scenario);
            if let Outcome::Failed(failure) = self.known.mask(outcome, judged.seen_mut()) {
                return Err(self.tell_claim(name, scenario, &failure));
            }
        }
        for number in 0..self.cases {
            let scenario = self.case(number, can);
            self.judge_case(number, scenario, judge, &mut judged)?;
        }
        if judged.backups == 0 {
            let cases = self.cases;
            return Err(format!(
                "nothing was proved: the engine carried out no backup in {cases} scenarios"
            ));
        }
        Ok(judged)
    }

    /// Tells whether a scenario is run twice, to compare the traces. What is kept may have been
    /// kept for that, and what stands in for a case is judged as that case is.
    pub(super) fn is_twice(&self, what: &What) -> bool {
        self.compares
            && match what {
                What::File(_) => true,
                What::Claim(_) => false,
                What::Case(number) | What::Candidate(number) => number.is_multiple_of(TWICE_EVERY),
            }
    }

    /// Makes up a case.
    pub(super) fn case(&self, number: u64, can: &Capabilities) -> Scenario {
        if can.declines {
            rounds::case(self.seed, number)
        } else {
            generate::case_for(self.seed, number, &self.profile, can)
        }
    }

    /// Keeps a scenario that is about a capability and failed, and tells of it.
    fn tell_claim(&self, name: &str, scenario: Scenario, failure: &Failure) -> String {
        let name = format!("claims-{name}");
        let saved = self.save(&name, scenario.clone());
        self.tell_kept(&name, scenario, failure, saved)
    }

    /// Judges the scenario of a file and nothing else. What is known fails too: it was asked for.
    fn replay(&self, file: &Path, judge: &mut Judge<'_>) -> Result<Judged, String> {
        let document = corpus::load(file).map_err(unreadable)?;
        let outcome = judge(&What::File(file.to_owned()), &document.scenario);
        if let Outcome::Failed(failure) = outcome {
            return Err(self.tell_file(&document, file, &failure));
        }
        let backups = outcome.counts().backups;
        let known = Known::default();
        Ok(Judged::with_seen(1, backups, &known, Sightings::default()))
    }

    fn kept_one(
        &self,
        kept: &Kept,
        file: &Path,
        judge: &mut Judge<'_>,
        judged: &mut Judged,
    ) -> Result<(), String> {
        let document = corpus::load(&kept.path(file)).map_err(unreadable)?;
        let outcome = judge(&What::File(file.to_owned()), &document.scenario);
        judged.cases += 1;
        match self.known.mask(outcome, judged.seen_mut()) {
            Outcome::Failed(failure) => Err(self.tell_file(&document, file, &failure)),
            _ => Ok(()),
        }
    }

    /// Judges a made-up scenario; where only known findings show, once more behind those.
    fn judge_case(
        &self,
        number: u64,
        scenario: Scenario,
        judge: &mut Judge<'_>,
        judged: &mut Judged,
    ) -> Result<(), String> {
        judged.cases += 1;
        let mut backups = 0;
        let mut one = |scenario: &Scenario| {
            let outcome = judge(&What::Case(number), scenario);
            backups += outcome.counts().backups;
            outcome
        };
        let seen = judged.seen_mut();
        let (scenario, outcome) = self.known.look_behind(scenario, seen, &mut one);
        judged.backups += backups;
        match outcome {
            Outcome::Failed(failure) => Err(self.tell(number, &scenario, &failure, judge)),
            _ => Ok(()),
        }
    }

    /// Keeps a case that failed, shrinks it, and tells of what is left.
    fn tell(
        &self,
        number: u64,
        scenario: &Scenario,
        failure: &Failure,
        judge: &mut Judge<'_>,
    ) -> String {
        let name = self.name(number);
        // Whoever ends the test while it shrinks has the scenario already.
        let saved = self.save(&name, scenario.clone());
        let mut run = |candidate: &Scenario| {
            let outcome = judge(&What::Candidate(number), candidate);
            self.known.mask(outcome, &mut Sightings::default())
        };
        let keep = identity(failure).expect("a failure has a finding");
        let mut watch = |_: crate::shrink::Progress<'_>| ControlFlow::Continue(());
        let shrunk = shrink(
            scenario,
            failure,
            keep,
            CANDIDATES_MAX,
            &mut run,
            &mut watch,
        );
        let saved = saved.and_then(|_| self.save(&name, shrunk.scenario.clone()));
        self.tell_kept(&name, shrunk.scenario, &shrunk.failure, saved)
    }

    /// Tells of a scenario that never came to its end, for the reason that `words` give. `again`
    /// runs smaller ones, where that can be done.
    pub(super) fn tell_gone(
        &self,
        now: &Now,
        words: &str,
        again: Option<&mut Again<'_>>,
    ) -> String {
        let (scenario, failure) = gone(now, words);
        let (number, name) = match &now.what {
            What::File(file) => {
                return self.tell_file(&Document::of(now.scenario.clone()), file, &failure);
            }
            What::Claim(name) => return self.tell_claim(name, scenario, &failure),
            What::Case(number) => (number, self.name(*number)),
            What::Candidate(number) => (number, format!("{}-smaller", self.name(*number))),
        };
        let saved = self.save(&name, scenario.clone());
        let Some(again) = again else {
            return self.tell_kept(&name, scenario, &failure, saved);
        };
        let keep = identity(&failure).expect("there is a finding");
        let mut watch = |_: crate::shrink::Progress<'_>| ControlFlow::Continue(());
        let shrunk = shrink(&scenario, &failure, keep, PROCESSES_MAX, again, &mut watch);
        let name = self.name(*number);
        let saved = saved.and_then(|_| self.save(&name, shrunk.scenario.clone()));
        self.tell_kept(&name, shrunk.scenario, &shrunk.failure, saved)
    }

    fn name(&self, number: u64) -> String {
        format!("seed{}-case{number}", self.seed)
    }

    /// Writes a scenario down, where what fails is kept; returns the file as it is shown.
    fn save(&self, name: &str, scenario: Scenario) -> Result<Option<PathBuf>, String> {
        let Some(kept) = &self.kept else {
            return Ok(None);
        };
        let saved = kept.save(name, &Document::of(scenario).print());
        saved
            .map(Some)
            .map_err(|error| format!("it could not be kept: {error}\n"))
    }

    fn tell_kept(
        &self,
        name: &str,
        scenario: Scenario,
        failure: &Failure,
        saved: Result<Option<PathBuf>, String>,
    ) -> String {
        let document = Document::of(scenario);
        let again = "run this test again".to_owned();
        let (file, again, remark) = match saved {
            Ok(Some(file)) => (
                file.display().to_string(),
                self.around.command(&file),
                String::new(),
            ),
            Ok(None) => (name.to_owned(), again, String::new()),
            Err(remark) => (name.to_owned(), again, remark),
        };
        let report = Report::new(failure, &document, &file, &again);
        format!("{}\n{remark}{}", report.render(), document.print())
    }

    fn tell_file(&self, document: &Document, file: &Path, failure: &Failure) -> String {
        let command = self.around.command(file);
        let report = Report::new(failure, document, &file.display().to_string(), &command);
        format!("{}\n{}", report.render(), document.print())
    }
}

/// Returns the steps up to where a scenario never came to its end, and that as a failure.
pub(super) fn gone(now: &Now, words: &str) -> (Scenario, Failure) {
    let mut scenario = now.scenario.clone();
    let reached = usize::try_from(now.step).unwrap_or(usize::MAX);
    let step = match now.call {
        // The subject is closed and opened by steps that it never sees.
        Call::Open | Call::Close if reached > 0 => {
            let behind = scenario.steps.iter().skip(reached);
            let mut restarts = behind.map(|step| crate::run::is_start(&step.action));
            restarts
                .position(|is_start| is_start)
                .map(|at| reached + at + 1)
        }
        _ => Some(reached),
    };
    let moment = match (now.call, step) {
        (Call::Make | Call::Capabilities | Call::Prepare, _) => {
            scenario.steps.clear();
            Moment::Preparing
        }
        (Call::Open, Some(0)) => {
            scenario.steps.clear();
            Moment::Opening
        }
        (_, Some(step)) if (1..=scenario.steps.len()).contains(&step) => {
            scenario.steps.truncate(step);
            Moment::Step(StepNumber(u32::try_from(step).unwrap_or(u32::MAX)))
        }
        _ => Moment::End,
    };
    let words = format!("{words}, in `{}`", now.call.name());
    let failure = Failure {
        step_kind: moment.step_kind(&scenario),
        moment,
        findings: vec![Finding::Violation(Box::new(Violation::crash(&words)))],
        replies: Vec::new(),
        firings: Vec::new(),
        counts: Counts::default(),
    };
    (scenario, failure)
}

fn unreadable(error: CorpusError) -> String {
    match error {
        CorpusError::Broken { rendered, .. } => rendered,
        CorpusError::Unreadable { path, source } => {
            format!("cannot read {}: {source}", path.display())
        }
        error => error.to_string(),
    }
}
