//! How a campaign begins: anew, or from where it was interrupted.

use std::path::Path;

use indicatif::HumanCount;

use crate::args::{self, ProfileName, RunArgs, Seconds, Seed};
use crate::campaign::{Course, End, Identity, KnownFiles, Plan, State};
use crate::error::{Error, Refused};
use crate::ui::Ui;

/// Returns what is to be judged, and what of it was judged before. What was interrupted in the
/// `--out` folder is gone on with, or refused; only where nothing of use is lost, or on demand, it
/// is given up.
pub(super) fn begin(args: &RunArgs, ui: &mut Ui) -> Result<(Plan, Course), Error> {
    let out = args.out();
    if args.fresh {
        State::remove(out)?;
        return Ok((plan(args, None)?, Course::default()));
    }
    let Some(state) = State::load(out)? else {
        if args.resume {
            let path = State::path(out);
            return Err(Error::NothingToResume { path });
        }
        return Ok((plan(args, None)?, Course::default()));
    };
    let refused = |refused| Error::State {
        path: State::path(out),
        refused,
    };
    let plan = plan(args, args.resume.then_some((&state.campaign, out)))?;
    if let Some(how) = state.campaign.differs(&plan.identity()) {
        return Err(refused(Refused::Campaign(how)));
    }
    if !state.is_of_this_build() {
        if args.resume {
            return Err(refused(Refused::Build));
        }
        ui.note(
            "another build of blkproof left this campaign, whose cases could have come out \
             another way: it begins anew",
        );
        return Ok((plan, Course::default()));
    }
    let done = state.course.done.end();
    if done
        .checked_sub(1)
        .is_some_and(|last| plan.number(last).is_none())
    {
        return Err(refused(Refused::Further(state.course.totals.cases)));
    }
    ui.note(format_args!(
        "going on with the campaign that was interrupted after {} cases: {}",
        HumanCount(state.course.totals.cases),
        State::path(out).display()
    ));
    Ok((plan, state.course))
}

/// Makes a plan of what was said. What was not said is as in the campaign that is gone on with, if
/// there is one, else as usual.
fn plan(args: &RunArgs, earlier: Option<(&Identity, &Path)>) -> Result<Plan, Error> {
    let campaign = earlier.map(|(campaign, _)| campaign);
    let said = match (args.cases, args.seconds) {
        (Some(cases), _) => Some(End::Cases(cases.0)),
        (None, Some(seconds)) => Some(End::After(seconds.0)),
        (None, None) => None,
    };
    let given = match earlier {
        Some((campaign, out)) if args.profile.is_empty() => {
            campaign.read_profiles().map_err(|why| Error::State {
                path: State::path(out),
                refused: Refused::Campaign(why),
            })?
        }
        _ => args.profile.clone(),
    };
    let bugs = match campaign {
        Some(campaign) if args.bug.is_empty() => campaign.bugs.clone(),
        _ => args.bug.clone(),
    };
    let known = match campaign {
        Some(campaign) if args.known.is_empty() => &campaign.known,
        _ => &args.known,
    };
    let seed = campaign.map(|campaign| Seed(campaign.seed));
    let shard = campaign.map(|campaign| campaign.shard);
    Ok(Plan {
        seed: args.seed.or(seed).unwrap_or_default().0,
        profiles: args::profiles(&given),
        given: names(&given),
        shard: args.shard.or(shard).unwrap_or_default(),
        bugs,
        known: KnownFiles::load(known)?,
        end: said
            .or(campaign.map(|campaign| campaign.end))
            .unwrap_or(End::After(Seconds::default().0)),
        stats: args.stats || campaign.is_some_and(|campaign| campaign.stats),
    })
}

fn names(given: &[ProfileName]) -> Vec<String> {
    given.iter().map(|name| name.given.clone()).collect()
}
