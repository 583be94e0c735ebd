//! What came of a scenario, told to people and to programs.

use blkproof::text::Document;
use blkproof::{Failure, NotJudged, Outcome, Report};
use blkproof_spec::StatedOutcome;

use crate::args::BugName;
use crate::json;
use crate::judge;
use crate::replay::Replayed;
use crate::ui::Ui;

/// Tells people why a scenario did not end as it states.
pub(crate) fn unmet(replayed: &Replayed, ui: &Ui) -> String {
    let document = &replayed.file.document;
    let stated = match &document.scenario.outcome {
        StatedOutcome::Pass => String::new(),
        StatedOutcome::Fail(name) => format!("it states that {name} fails, but "),
    };
    match &replayed.outcome {
        Outcome::Held(_) => format!("{stated}everything held"),
        Outcome::NotJudged(why, _) => format!("{stated}{}", not_judged(why)),
        Outcome::Failed(failure) if stated.is_empty() => {
            report(failure, document, &replayed.path(), &replayed.bugs, ui).render()
        }
        Outcome::Failed(failure) => {
            let report = report(failure, document, &replayed.path(), &replayed.bugs, ui);
            format!("{stated}it is something else:\n{}", report.render())
        }
    }
}

/// Tells programs what came of a scenario file.
pub(crate) fn scenario(replayed: &Replayed, ui: &Ui) -> json::Scenario {
    let document = &replayed.file.document;
    let counts = replayed.outcome.counts();
    let path = replayed.path();
    json::Scenario {
        title: document.scenario.title.as_deref().map(str::to_owned),
        stated: match &document.scenario.outcome {
            StatedOutcome::Pass => "pass".to_owned(),
            StatedOutcome::Fail(name) => format!("fail {name}"),
        },
        met: replayed.is_met(),
        outcome: match &replayed.outcome {
            Outcome::Held(_) => "held",
            Outcome::Failed(_) => "failed",
            Outcome::NotJudged(..) => "not-judged",
        },
        not_judged: match &replayed.outcome {
            Outcome::NotJudged(why, _) => Some(not_judged(why)),
            _ => None,
        },
        counts: json::Counts::from(counts),
        failure: match &replayed.outcome {
            Outcome::Failed(failure) => {
                let report = report(failure, document, &path, &replayed.bugs, ui);
                Some(json::Failure::from(report))
            }
            _ => None,
        },
        path,
    }
}

/// Returns the report of a scenario in a file, with the command that replays it: on an engine with
/// these seeded bugs.
pub(crate) fn report(
    failure: &Failure,
    document: &Document,
    path: &str,
    bugs: &[BugName],
    ui: &Ui,
) -> Report {
    let mut args = vec!["replay", path];
    for bug in bugs {
        args.extend(["--bug", bug.0.name()]);
    }
    let failure = judge::with_lost(failure, &document.scenario, bugs);
    Report::new(&failure, document, path, &ui.command(args))
}

fn not_judged(why: &NotJudged) -> String {
    match why {
        NotJudged::Undetectable => {
            "it counts for nothing: a fault beyond the budget fired, which the engine does not \
             claim to detect"
                .to_owned()
        }
        NotJudged::Known => "only known findings show".to_owned(),
        NotJudged::NotOpened(message) => {
            format!(
                "it counts for nothing: faults prevented opening or closing the disks: {message}"
            )
        }
        other => format!("it counts for nothing: {other:?}"),
    }
}
