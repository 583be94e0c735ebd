//! Scenarios for engines that only write, read and back up.
//!
//! Made-up scenarios of the profiles use everything that backup engines have; a small engine
//! declines most of it. These use what it does not decline: a full backup, then rounds of guest
//! writes, each with an increment that builds on the last one, and here and there a failing disk.

use blkproof_spec::{Errno, SECTOR, Scenario};

use crate::build::{ScenarioBuilder, backup, fill, rule, scenario, stamp};
use crate::generate::Choices;

const K: u64 = 1 << 10;

/// Makes up a scenario from a seed and a number.
pub(super) fn case(seed: u64, number: u64) -> Scenario {
    let mut choices = Choices::new(seed, number);
    let size = match choices.below(4) {
        0 => 64 * K,
        1 => 96 * K + SECTOR * choices.below(16),
        2 => SECTOR * choices.between(1, 64),
        _ => 128 * K,
    };
    let title = format!("case {number} of seed {seed}");
    let mut rounds = Rounds {
        size,
        touched: Vec::new(),
        builder: scenario(&title)
            .raw_disk("d", size)
            .bitmap_add("d", "b")
            .may_do_anything(),
    };
    let faulty = choices.chance(25);
    let mut last = "full".to_owned();
    rounds.guest(&mut choices);
    rounds.step(|builder| builder.backup(backup("d").full("full")));
    for round in 1..=choices.between(1, 4) {
        rounds.guest(&mut choices);
        if faulty && choices.chance(40) {
            rounds.fail(&mut choices);
        }
        let name = format!("inc{round}");
        rounds.step(|builder| builder.create_on(&name, &last));
        rounds.step(|builder| builder.backup(backup("d").incremental("b", &name).existing()));
        if faulty {
            // Once no fault is left, what may have failed must work.
            let retry = format!("inc{round}b");
            rounds.step(ScenarioBuilder::lift_all);
            rounds.step(|builder| builder.create_on(&retry, &last));
            rounds.step(|builder| builder.backup(backup("d").incremental("b", &retry).existing()));
            rounds.step(|builder| builder.create_on(&format!("{retry}c"), &name));
            let third = format!("{retry}c");
            rounds.step(|builder| builder.backup(backup("d").incremental("b", &third).existing()));
        }
        last = name;
    }
    rounds.builder.finish()
}

/// A scenario in the making.
struct Rounds {
    size: u64,
    /// Where writes went so far.
    touched: Vec<u64>,
    builder: ScenarioBuilder,
}

impl Rounds {
    /// Adds a step; what comes of it the model says.
    fn step(&mut self, add: impl FnOnce(ScenarioBuilder) -> ScenarioBuilder) {
        let builder = core::mem::replace(&mut self.builder, scenario(""));
        self.builder = add(builder).may_do_anything();
    }

    /// Adds a few requests of the guest.
    fn guest(&mut self, choices: &mut Choices<'_>) {
        for _ in 0..choices.below(5) {
            let (start, len) = self.range(choices);
            match choices.below(8) {
                0 => self.step(|builder| builder.flush("d")),
                1 => self.step(|builder| builder.write_zeroes("d", start, len, true)),
                2 => self.step(|builder| builder.read("d", start, len)),
                3 => self.step(|builder| builder.write("d", start, len, fill(0))),
                _ => self.step(|builder| builder.write("d", start, len, stamp())),
            }
        }
    }

    /// Makes up a range: at borders of blocks and beside them, where writes went before, at the
    /// end.
    fn range(&mut self, choices: &mut Choices<'_>) -> (u64, u64) {
        let block = (4 * K) << choices.below(5);
        let border = choices.below(self.size / block + 1) * block;
        let start = match choices.below(5) {
            0 => border.saturating_sub(SECTOR),
            1 => self.size.saturating_sub(SECTOR * choices.between(1, 9)),
            2 => {
                let index = choices.below(self.touched.len() as u64 + 1);
                let touched = usize::try_from(index)
                    .ok()
                    .and_then(|at| self.touched.get(at));
                touched.copied().unwrap_or(border)
            }
            3 => choices.below(self.size / SECTOR) * SECTOR,
            _ => border,
        };
        let start = start.min(self.size - SECTOR);
        let len = match choices.below(4) {
            0 => SECTOR,
            1 => block,
            2 => block + SECTOR,
            _ => SECTOR * choices.between(1, 40),
        };
        self.touched.push(start);
        (start, len.min(self.size - start))
    }

    /// Lets one of the disk's next requests fail.
    fn fail(&mut self, choices: &mut Choices<'_>) {
        let error = rule("d.file").error(Errno::EIO);
        let error = if choices.chance(70) {
            error.on_reads()
        } else {
            error.on_writes()
        };
        let number = choices.between(1, 6);
        self.step(|builder| builder.fault(error.nth(number)));
    }
}
