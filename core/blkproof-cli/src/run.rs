//! `blkproof run`: the corpora, then a campaign, then a summary.

mod corpora;

mod keeper;

mod stats;

mod summary;

use std::path::{Path, PathBuf};

use crate::args::RunArgs;
use crate::campaign::{self, End, Plan, Progress};
use crate::error::Error;
use crate::exit::Exit;
use crate::ui::Ui;
pub(crate) use corpora::Folder;
use keeper::Keeper;
use summary::Summary;

/// Where scenarios to replay first are looked for if nothing is said.
const CORPORA: &str = "corpora";

/// Replays the corpora, judges a campaign and sums up.
pub(crate) fn run(args: &RunArgs, ui: &mut Ui) -> Result<Exit, Error> {
    let corpora = corpora_folder(args)?;
    check_folder("--out", args.out())?;
    let (folders, replayed) = match &corpora {
        Some(folder) => corpora::replay(folder, ui)?,
        None => (Vec::new(), Exit::Held),
    };
    summary::corpora(&folders, ui)?;
    let plan = plan(args);
    let jobs = args.jobs.unwrap_or_default();
    let progress = Progress::start(plan.end, ui);
    let mut keeper = Keeper::new(&plan, args.out(), progress, ui);
    let judged = campaign::judge(&plan, jobs, &mut keeper);
    let kept = keeper.finish();
    let (totals, time) = judged?;
    let judged = if totals.failed > 0 {
        Exit::Failed
    } else {
        Exit::Held
    };
    let exit = replayed.max(judged).max(kept);
    let summary = Summary {
        plan: &plan,
        profiles_given: &args.profile,
        jobs,
        folders: &folders,
        totals: &totals,
        time,
        exit,
    };
    if let Some(coverage) = &totals.coverage {
        stats::print(coverage, ui)?;
    }
    summary.print(ui)?;
    Ok(exit)
}

fn plan(args: &RunArgs) -> Plan {
    Plan {
        seed: args.seed.0,
        stats: args.stats,
        profiles: args.profiles(),
        end: match args.cases {
            Some(cases) => End::Cases(cases.0),
            None => End::After(args.seconds.unwrap_or_default().0),
        },
    }
}

/// The folder to replay first: the one that is named, or the usual one where it is there.
fn corpora_folder(args: &RunArgs) -> Result<Option<PathBuf>, Error> {
    let Some(named) = &args.corpora else {
        let usual = Path::new(CORPORA);
        return Ok(usual.is_dir().then(|| usual.to_owned()));
    };
    check_folder("--corpora", named)?;
    // Said at once, not after ten seconds.
    named.read_dir().map_err(Error::unreadable(named))?;
    Ok(Some(named.clone()))
}

fn check_folder(flag: &'static str, path: &Path) -> Result<(), Error> {
    if path.exists() && !path.is_dir() {
        let path = path.to_owned();
        return Err(Error::NotAFolder { flag, path });
    }
    Ok(())
}
