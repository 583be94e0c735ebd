//! On whose behalf devices are asked, for faults that strike by chance.
//!
//! Chance in a rule hangs on what it strikes. Above a format that is a request of somebody, and
//! below it a part of one: where that lies follows from everything that was written before, so it
//! says nothing. So the store is told who acts: a step in its own words, which are the same
//! whatever stands around it, or the job whose work a step carries out, which is the same whichever
//! step does. What is left out of a scenario then moves no fault of the others. Steps that say the
//! same are told apart only by their order.

use std::collections::BTreeMap;

use blkproof_spec::fault::{Rule, When};
use blkproof_spec::step::{Action, Backup, TransactionAction, Work};
use blkproof_spec::{FaultRule, JobName, RequestId, Scenario, Step};

use crate::text::describe;

/// Who acts, in words.
type Words = Box<str>;

/// Remembers who started what is carried out by later steps.
#[derive(Default, Debug)]
pub(super) struct Actors {
    jobs: BTreeMap<JobName, Words>,
    requests: BTreeMap<RequestId, Words>,
}

/// Tells whether chance decides what a rule strikes.
pub(super) fn goes_by_chance(rule: &FaultRule) -> bool {
    matches!(&rule.rule, Rule::Extended(extended) if matches!(extended.when, When::Chance { .. }))
}

/// Returns the rules of a scenario, those of its setup first.
pub(super) fn rules(scenario: &Scenario) -> impl Iterator<Item = &FaultRule> {
    let steps = scenario.steps.iter().filter_map(|step| match &step.action {
        Action::Install(rule) => Some(rule),
        _ => None,
    });
    scenario.setup.rules.iter().chain(steps)
}

impl Actors {
    /// Returns what names the actors of a scenario; nothing where no chance hangs on them.
    pub(super) fn of(scenario: &Scenario) -> Option<Self> {
        rules(scenario).any(goes_by_chance).then(Self::default)
    }

    /// Returns who acts in a step.
    pub(super) fn acting(&mut self, action: &Action) -> Words {
        let known = match action {
            Action::Finish { job }
            | Action::Job { job, .. }
            | Action::Advance {
                work: Work::Job(job),
                ..
            } => self.jobs.get(job),
            Action::Settle { request }
            | Action::Advance {
                work: Work::Request(request),
                ..
            } => self.requests.get(request),
            _ => None,
        };
        if let Some(known) = known {
            return known.clone();
        }
        let words: Words = describe(&Step::new(action.clone())).into();
        match action {
            Action::Start { request, .. } => {
                self.requests.insert(request.clone(), words.clone());
            }
            Action::Backup { backup, .. } => self.start(backup, &words),
            Action::Transaction { actions, .. } => {
                for (number, action) in (0..).zip(actions) {
                    if let TransactionAction::Backup(backup) = action {
                        self.start(backup, &format!("{number} of {words}"));
                    }
                }
            }
            _ => {}
        }
        words
    }

    fn start(&mut self, backup: &Backup, words: &str) {
        let default = || JobName::new(backup.at.name().as_str());
        let job = backup.job.clone().unwrap_or_else(default);
        self.jobs.insert(job, words.into());
    }
}

#[cfg(test)]
mod tests {
    use super::Actors;
    use crate::text;

    /// Who acts in the steps of a scenario.
    fn actors(steps: &str) -> Vec<String> {
        let rule = "at-open d.file error errno=EIO when=chance(1,1000)";
        let text = format!("blkproof 1\ndisk d 1M raw\n{rule}\n{steps}");
        let scenario = text::parse(text.as_bytes()).expect("the text is fine");
        let mut actors = Actors::of(&scenario).expect("chance is asked");
        let steps = scenario.steps.iter();
        let acting = |action| actors.acting(action).into_string();
        steps.map(|step| &step.action).map(acting).collect()
    }

    #[test]
    fn a_step_acts_for_itself_and_later_ones_for_what_was_started() {
        let steps = "write d 0 512 stamp\n\
            backup d full to=full0 start\n\
            advance d 3\n\
            start r write d 0 512 stamp\n\
            advance-request r 1\n\
            settle r\n\
            finish d\n";
        let acting = actors(steps);
        let [write, backup, advance, start, request, settle, finish] = &acting[..] else {
            panic!("{acting:#?}");
        };
        assert_eq!(write, "write d 0 512 stamp");
        assert_eq!((advance, finish), (backup, backup));
        assert_eq!((request, settle), (start, start));
        assert_ne!(start, write);
        // Whatever is left out, the others are the same.
        let left: Vec<String> = actors(&steps.replace("advance d 3\n", ""));
        assert_eq!(left, [&acting[..2], &acting[3..]].concat());
    }

    #[test]
    fn jobs_of_one_transaction_and_of_one_name_are_told_apart() {
        let acting = actors(
            "transaction grouped\n  backup d full to=a job=j\n  backup d full to=b job=k\nend\n\
             finish j\nfinish k\nbackup d full to=c job=j start\nfinish j\n",
        );
        let mut all = acting.clone();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 4, "{acting:#?}");
        assert_eq!(acting[3], acting[4]);
    }

    #[test]
    fn nobody_is_named_where_no_chance_is_asked() {
        let text = "blkproof 1\ndisk d 1M raw\nfault d error errno=EIO when=nth(1)\n";
        let scenario = text::parse(text.as_bytes()).expect("the text is fine");
        assert!(Actors::of(&scenario).is_none());
    }
}
