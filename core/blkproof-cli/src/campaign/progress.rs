//! How far a campaign is, for whoever waits: a bar on a terminal, now and then a line elsewhere.

use core::time::Duration;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::plan::End;
use crate::ui::Ui;

/// How often a line is printed where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(30);

/// How far a campaign is. Clones show the same bar.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    end: End,
    start: Instant,
    said: Instant,
}

impl Progress {
    /// Starts to show how far a campaign is.
    pub(crate) fn start(end: End, ui: &mut Ui) -> Self {
        let now = Instant::now();
        if !ui.is_watched() {
            ui.note(match end {
                End::Cases(cases) => format!("campaign: judging {cases} cases"),
                End::After(time) => format!("campaign: judging cases for {} s", time.as_secs_f64()),
            });
        }
        Self {
            bar: ui.is_watched().then(|| bar(end)),
            end,
            start: now,
            said: now,
        }
    }

    /// Shows that this many cases were claimed.
    pub(crate) fn show(&mut self, cases: u64, ui: &mut Ui) {
        let time = self.start.elapsed();
        if let Some(bar) = &self.bar {
            bar.set_position(match self.end {
                End::Cases(all) => cases.min(all),
                End::After(_) => millis(time),
            });
            bar.set_message(format!("{cases} cases"));
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

fn bar(end: End) -> ProgressBar {
    let length = match end {
        End::Cases(cases) => cases,
        End::After(time) => millis(time),
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
