//! Running scenarios: what holds is held, and every lie is caught.

mod canaries;
mod counts;
mod expectations;

use blkproof::spec::Scenario;
use blkproof::{Options, Outcome, Runner, text};

use crate::engines::{Lie, copiers};

/// Parses a scenario whose header and disk of 256 KiB are left out.
pub(crate) fn scenario(steps: &str) -> Scenario {
    let text = format!("blkproof 1\ndisk drive0 256k raw\n{steps}");
    match text::parse(text.as_bytes()) {
        Ok(scenario) => scenario,
        Err(errors) => panic!("{}", errors.render("scenario", text.as_bytes())),
    }
}

pub(crate) fn run(scenario: &Scenario, lie: Lie) -> Outcome {
    Runner::new(Options::default()).run(scenario, &mut copiers(lie), None)
}
