//! `blkproof run`: the corpora, then a campaign, then a summary.

mod corpora;

mod begin;

mod keeper;

mod watch;

mod stats;

mod summary;

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::args::RunArgs;
use crate::campaign::{self, Course, End, Plan};
use crate::error::Error;
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::out::{Out, check_folder};
use crate::ui::Ui;
pub(crate) use corpora::Folder;
use summary::Summary;
use watch::{Stop, Watch, Watched};

/// Where scenarios to replay first are looked for if nothing is said.
const CORPORA: &str = "corpora";

/// So many cases of all profiles reach all that can be reached.
const HOLES_FROM: u64 = 100_000;

/// Replays the corpora, judges a campaign and sums up.
pub(crate) fn run(args: &RunArgs, ui: &mut Ui) -> Result<Exit, Error> {
    let corpora = corpora_folder(args)?;
    // From here on, nobody else changes what lies in the folder.
    let out = Out::open_alone("--out", args.out())?;
    let (plan, course) = begin::begin(args, ui)?;
    let (folders, replayed) = match &corpora {
        Some(folder) => corpora::replay(folder, ui)?,
        None => (Vec::new(), Exit::Held),
    };
    summary::corpora(&folders, ui)?;
    let watched = judge(&plan, course, args, &out, ui)?;
    let totals = &watched.course.totals;
    let judged = match watched.stopped {
        _ if totals.failed > 0 => Exit::Failed,
        Some(Stop::Interrupted) => Exit::Interrupted,
        _ => Exit::Held,
    };
    let counted = match &totals.coverage {
        Some(coverage) => {
            let counted = stats::print(coverage, ui)?;
            let whole = args.no_holes && totals.cases >= HOLES_FROM;
            counted.max(stats::forbid_holes(coverage, whole, ui)?)
        }
        None => Exit::Held,
    };
    let exit = replayed.max(judged).max(watched.exit).max(counted);
    let summary = Summary {
        plan: &plan,
        jobs: args.jobs.unwrap_or_default(),
        folders: &folders,
        watched: &watched,
        out: out.path(),
        out_given: args.out.is_some(),
        exit,
    };
    summary.print(ui)?;
    Ok(exit)
}

/// Judges what is left of a campaign.
fn judge(
    plan: &Plan,
    course: Course,
    args: &RunArgs,
    out: &Out,
    ui: &mut Ui,
) -> Result<Watched, Error> {
    let interrupt = Interrupt::listen().map_err(Error::Signals)?;
    let deadline = match plan.end {
        End::Cases(_) => None,
        End::After(time) => Some(Instant::now() + time.saturating_sub(course.time)),
    };
    let earlier = course.done.clone();
    let ways_max = usize::try_from(args.failures).unwrap_or(usize::MAX);
    let mut watch = Watch::new(plan, course, ways_max, out.path(), interrupt, ui);
    let jobs = args.jobs.unwrap_or_default();
    campaign::judge(plan, jobs, &earlier, deadline, &mut watch)?;
    watch.finish()
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
