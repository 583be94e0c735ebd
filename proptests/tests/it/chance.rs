//! Chance in faults hangs on what it strikes: a step that is left out moves no other step's fault.

use std::fmt::Write as _;

use blkproof::text::Document;
use blkproof::{Moment, Options, Outcome, Runner};
use blkproof_engine::Engine;

/// How many writes there are, each to a place of its own.
const WRITES: usize = 40;

/// Writes where some fail by chance; `left_out` is not among them.
fn scenario(place: &str, format: &str, fails: &[bool], left_out: Option<usize>) -> Document {
    let mut text = format!(
        "blkproof 1\ndisk d 1M {format}\nwrite d 1020k 512 stamp\nflush d\n\
         fault {place} error errno=EIO iotype=write when=chance(77,300000)\n"
    );
    for (index, fails) in fails.iter().enumerate() {
        if Some(index) != left_out {
            let expect = if *fails { " expect=failed(EIO)" } else { "" };
            let start = index * 24 * 1024;
            writeln!(text, "write d {start} 512 stamp{expect}").expect("a string takes it");
        }
    }
    Document::parse(text.as_bytes()).expect("it is well written")
}

fn run(document: &Document) -> Outcome {
    Runner::new(Options::default()).run(&document.scenario, &mut Engine::new(), None)
}

/// Finds out which of the writes fail: each one that does not end as stated ends the other way.
fn failing(place: &str, format: &str) -> Vec<bool> {
    let mut fails = vec![false; WRITES];
    for _ in 0..=WRITES {
        match run(&scenario(place, format, &fails, None)) {
            Outcome::Held(_) => return fails,
            Outcome::Failed(failure) => {
                let Moment::Step(number) = failure.moment else {
                    panic!("{failure:#?}");
                };
                // The rule is step 3.
                let index = usize::try_from(number.0).expect("there are few") - 4;
                fails[index] = !fails[index];
            }
            Outcome::NotJudged(why, _) => panic!("{why:?}"),
        }
    }
    panic!("the same writes do not fail in two runs");
}

#[test]
fn a_step_that_is_left_out_moves_no_fault() {
    // Below qcow2, a write that is left out moves all clusters that are written later.
    let below = ("d.file", "qcow2 cluster=4k");
    for (place, format) in [("d.file", "raw"), ("d", "qcow2"), below] {
        let fails = failing(place, format);
        let count = fails.iter().filter(|fails| **fails).count();
        assert!((5..WRITES - 5).contains(&count), "{count} of {WRITES} fail");
        for left_out in 0..WRITES {
            let outcome = run(&scenario(place, format, &fails, Some(left_out)));
            assert!(
                matches!(outcome, Outcome::Held(_)),
                "{format}: without write {left_out}, others fail: {outcome:#?}"
            );
        }
    }
}
