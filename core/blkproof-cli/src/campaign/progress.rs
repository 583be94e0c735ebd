//! How far a campaign is, for whoever waits: a bar on a terminal, now and then a line elsewhere.

use core::time::Duration;
use std::time::Instant;

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::plan::{End, Plan};
use super::state::Course;
use crate::ui::Ui;

/// How often a line is printed where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(30);

/// How far a campaign is. Clones show the same bar.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    end: Bound,
    /// When this run of the campaign began, and how long it had run before.
    start: (Instant, Duration),
    said: Instant,
}

/// What a campaign's way is measured by.
#[derive(Clone, Copy, Debug)]
enum Bound {
    Cases(u64),
    Time(Duration),
}

impl Progress {
    /// Starts to show how far a campaign is.
    pub(crate) fn start(plan: &Plan, course: &Course, ui: &mut Ui) -> Self {
        let now = Instant::now();
        let end = match plan.end {
            End::Cases(cases) => Bound::Cases(plan.cases().unwrap_or(cases)),
            End::After(time) => Bound::Time(time),
        };
        if !ui.is_watched() {
            let what = match end {
                Bound::Cases(cases) => format!("{cases} cases"),
                Bound::Time(time) => format!("cases for {} s", time.as_secs_f64()),
            };
            ui.note(match course.done.len() {
                0 => format!("campaign: judging {what}"),
                done => format!("campaign: judging {what}, {done} of them judged before"),
            });
        }
        Self {
            bar: ui.is_watched().then(|| bar(end)),
            end,
            start: (now, course.time),
            said: now,
        }
    }

    /// Shows that this many cases were judged.
    pub(crate) fn show(&mut self, cases: u64, ui: &mut Ui) {
        let time = self.start.1 + self.start.0.elapsed();
        if let Some(bar) = &self.bar {
            bar.set_position(match self.end {
                Bound::Cases(all) => cases.min(all),
                Bound::Time(_) => millis(time),
            });
            bar.set_message(format!("{} cases", HumanCount(cases)));
        } else if self.said.elapsed() >= LINE_EVERY {
            self.said = Instant::now();
            ui.note(format_args!(
                "campaign: {cases} cases in {} s",
                time.as_secs()
            ));
        }
    }

    /// Takes the bar off the screen while something else is printed.
    pub(crate) fn suspend<T>(&self, print: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    /// Takes the bar off the screen.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar(end: Bound) -> ProgressBar {
    let length = match end {
        Bound::Cases(cases) => cases,
        Bound::Time(time) => millis(time),
    };
    let style = ProgressStyle::with_template("  {bar:40} {percent:>3} %  {msg}");
    let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr());
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
