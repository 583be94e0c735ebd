//! `blkproof judge-tool`: a backup tool between two disks that break.
//!
//! Nothing of the tool is known but its exit code and what it leaves on the target. A position is
//! one of its requests, by side, kind and number, and what happens to it; a kind is done when the
//! request that was to be struck did not come any more, so what was tried is complete as far as the
//! tool makes the same requests again. Tools that make them in an order of their own, each time
//! another one, are judged no less: every run is judged by itself.

mod round;
mod tally;
mod tool;

use std::time::Duration;

use blkproof::sweep::{Position, Strike};
use blkproof_spec::{ImageName, IoType, Layer, Length, Place};
use owo_colors::OwoColorize as _;

use crate::args::{JudgeToolArgs, Only};
use crate::error::Error;
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::json::{self, Record};
use crate::serve::rules;
use crate::ui::Ui;
use round::{Round, Stage};
use tally::{Outcome, Tally};

/// The names of the two disks.
const SOURCE: &str = "source";
const TARGET: &str = "target";

/// The largest disks: they are read to the end after each run.
const SIZE_MAX: u64 = 1 << 30;

/// After so many positions of one kind nobody believes that there is an end.
const NUMBER_MAX: u64 = 100_000;

/// How many findings are told one by one.
const TOLD: u64 = 20;

/// Judges a tool.
pub(crate) fn run(args: &JudgeToolArgs, ui: &mut Ui) -> Result<Exit, Error> {
    let interrupt = Interrupt::listen().map_err(Error::Signals)?;
    let stage = Stage {
        size: size(&args.size)?,
        durable: args.durable,
        limit: Duration::from_secs(args.timeout.into()),
        command: &args.command,
        interrupt: &interrupt,
    };
    let mut judge = Judge {
        stage,
        args,
        tally: Tally::default(),
    };
    judge.prove_it_works(ui)?;
    let complete = judge.all(ui)?;
    judge.sum_up(complete, ui)?;
    Ok(if judge.tally.findings() > 0 {
        Exit::Failed
    } else if complete {
        Exit::Held
    } else {
        Exit::Interrupted
    })
}

fn size(text: &str) -> Result<Length, Error> {
    let unusable = |why: String| Error::Unusable {
        what: "--size".into(),
        why,
    };
    let size = rules::size(text).map_err(unusable)?;
    if !(512..=SIZE_MAX).contains(&size.0) {
        return Err(unusable("expected 512 to 1G".to_owned()));
    }
    Ok(size)
}

struct Judge<'a> {
    stage: Stage<'a>,
    args: &'a JudgeToolArgs,
    tally: Tally,
}

impl Judge<'_> {
    /// Runs the tool without any fault: one that does not work then is not judged.
    fn prove_it_works(&self, ui: &mut Ui) -> Result<(), Error> {
        let round = self.stage.run(None)?;
        let why = match (&round.ended.code, round.differs_at) {
            (None, _) if round.ended.hung => "it does not end".to_owned(),
            (None, _) => "a signal ends it".to_owned(),
            (Some(0), None) => return Ok(()),
            (Some(0), Some(at)) if self.args.durable => {
                format!("it says that all is well, and after a power cut byte {at} is another one")
            }
            (Some(0), Some(at)) => {
                format!("it says that all is well, and byte {at} is another one")
            }
            (Some(code), _) => format!("it ends with exit code {code}"),
        };
        say_output(&round, ui);
        Err(Error::Unusable {
            what: "the tool, without any fault".to_owned(),
            why,
        })
    }

    /// Strikes every request; tells whether that was done to the end.
    fn all(&mut self, ui: &mut Ui) -> Result<bool, Error> {
        if let Some(only) = &self.args.only {
            return Ok(self.strike(&position(only), ui)?.is_some());
        }
        let strikes: Vec<Strike> = match &self.args.strike[..] {
            [] => Strike::USUAL.to_vec(),
            named => named.iter().map(|name| name.0).collect(),
        };
        for source in [true, false] {
            for kind in IoType::ALL.iter().copied() {
                for strike in strikes.iter().copied().filter(|one| one.suits(kind)) {
                    let only = |number| Only {
                        source,
                        kind,
                        number,
                        strike: crate::args::StrikeName(strike),
                    };
                    if !self.every(|number| position(&only(number)), ui)? {
                        return Ok(false);
                    }
                }
            }
        }
        Ok(true)
    }

    /// Strikes the first, the second, and so on, until none is struck any more.
    fn every(&mut self, position: impl Fn(u64) -> Position, ui: &mut Ui) -> Result<bool, Error> {
        for number in 1..=NUMBER_MAX {
            match self.strike(&position(number), ui)? {
                None => return Ok(false),
                Some(false) => return Ok(true),
                Some(true) => {}
            }
        }
        Ok(false)
    }

    /// Strikes one request. Tells whether it came, or nothing where a signal came first.
    fn strike(&mut self, position: &Position, ui: &mut Ui) -> Result<Option<bool>, Error> {
        let round = self.stage.run(Some(position))?;
        if self.stage.interrupt.came() {
            return Ok(None);
        }
        if !round.fired {
            return Ok(Some(false));
        }
        let outcome = round.outcome();
        self.tally.count(position, outcome);
        self.emit(position, &round, outcome, ui)?;
        if outcome.is_finding() && self.tally.findings() <= TOLD {
            self.tell(position, &round, ui)?;
        }
        Ok(Some(true))
    }

    fn emit(
        &self,
        position: &Position,
        round: &Round,
        outcome: Outcome,
        ui: &mut Ui,
    ) -> Result<(), Error> {
        ui.emit(&Record::Struck(json::Struck {
            position: &named(position),
            outcome: outcome.name(),
            exit_code: round.ended.code,
            equal: round.differs_at.is_none(),
            differs_at: round.differs_at,
        }))
    }

    /// Tells of a run that is wrong, and how to see it again.
    fn tell(&self, position: &Position, round: &Round, ui: &mut Ui) -> Result<(), Error> {
        let word = round.outcome().name().to_uppercase();
        let what = match round.differs_at {
            _ if round.ended.hung => format!("it did not end within {} s", self.args.timeout),
            Some(at) => format!("exit code 0, but from byte {at} on the target is not the source"),
            None => "nothing".to_owned(),
        };
        let position = named(position);
        ui.say(format_args!("{}  {position}: {what}", word.red().bold()))?;
        for firing in &round.firings {
            ui.say(format_args!("    {firing}"))?;
        }
        say_output(round, ui);
        let mut again = vec![
            "judge-tool".to_owned(),
            "--size".into(),
            self.args.size.clone(),
        ];
        if self.args.durable {
            again.push("--durable".into());
        }
        again.extend(["--only".into(), position, "--".into()]);
        let command = self.args.command.iter();
        again.extend(command.map(|word| word.to_string_lossy().into_owned()));
        let again = ui.command(again.iter().map(String::as_str));
        ui.say(format_args!("    again: {again}"))
    }

    fn sum_up(&self, complete: bool, ui: &mut Ui) -> Result<(), Error> {
        ui.emit(&Record::ToolJudged(self.tally.record(complete)))?;
        if self.tally.findings() > TOLD {
            let more = self.tally.findings() - TOLD;
            ui.say(format_args!("and {more} more like these"))?;
        }
        ui.say(self.tally.table())?;
        ui.say(match (self.tally.findings(), complete) {
            (0, true) => "every error was told, or did no harm".to_owned(),
            (0, false) => "interrupted; until then every error was told, or did no harm".to_owned(),
            (1, _) => "one error was swallowed, or made the tool hang".to_owned(),
            (count, _) => format!("{count} errors were swallowed, or made the tool hang"),
        })
    }
}

/// Returns the position that names a request.
fn position(only: &Only) -> Position {
    Position {
        place: Place {
            image: ImageName::new(if only.source { SOURCE } else { TARGET }),
            layer: Layer::File,
        },
        kind: only.kind,
        strike: only.strike.0,
        number: only.number,
    }
}

/// Returns the name of a position, as `--only` takes it.
fn named(position: &Position) -> String {
    let (side, kind) = (&position.place.image, position.kind);
    format!(
        "{side}:{kind}:{}:{}",
        position.number,
        position.strike.name()
    )
}

/// Says what the tool said last.
fn say_output(round: &Round, ui: &mut Ui) {
    for line in &round.ended.last_words {
        ui.note(format_args!("    it said: {line}"));
    }
}
