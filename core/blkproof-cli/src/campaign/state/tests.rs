use std::fs;
use std::path::Path;

use blkproof::coverage::Coverage;
use blkproof::{Counts, Outcome};
use proptest::collection::vec;
use proptest::prelude::*;

use super::{Course, State};
use crate::campaign::{End, KnownFiles, Plan};
use crate::error::{Error, Refused};

fn plan() -> Plan {
    Plan {
        seed: u64::MAX,
        profiles: crate::args::profiles(&["faults".parse().unwrap()]),
        given: vec!["faults".to_owned()],
        shard: "2/3".parse().unwrap(),
        bugs: vec!["undo-forward".to_owned().try_into().unwrap()],
        known: KnownFiles::default(),
        end: End::Cases(1000),
        stats: true,
    }
}

fn course(plan: &Plan) -> Course {
    let mut course = Course::default();
    for position in [0, 1, 5] {
        course.done.insert(position);
        let number = plan.number(position).unwrap();
        let outcome = Outcome::Held(Counts::default());
        let scenario = plan.case(number);
        course.totals.add(number, &scenario, &outcome, false);
    }
    course.totals.coverage = Some(Coverage::default());
    course.finds.count("restore-exact at check");
    course
        .finds
        .keep("restore-exact at check", "a.min.blk".to_owned());
    course
}

/// What a file with this text is refused for.
fn refused(out: &Path, text: &str) -> Refused {
    fs::write(State::path(out), text).unwrap();
    match State::load(out) {
        Err(Error::State { refused, .. }) => refused,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_state_is_read_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path();
    assert!(State::load(out).unwrap().is_none());
    let plan = plan();
    let course = course(&plan);
    State::save(&plan.identity(), &course, out).unwrap();
    let state = State::load(out).unwrap().expect("it was written");
    assert_eq!(state.campaign, plan.identity());
    assert_eq!(state.course, course);
    assert!(state.is_of_this_build());
    State::remove(out).unwrap();
    State::remove(out).unwrap();
    assert!(State::load(out).unwrap().is_none());
}

#[test]
fn what_another_version_wrote_is_refused_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    for text in [
        r#"{"format": 2, "version": "9.8.7", "else": []}"#,
        r#"{"format": 1, "version": "9.8.7"}"#,
    ] {
        let refused = refused(folder.path(), text);
        let said = refused.to_string();
        assert!(matches!(refused, Refused::Version(_)), "{said}");
        assert!(said.contains("blkproof 9.8.7"), "{said}");
    }
}

#[test]
fn what_is_no_state_is_refused_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path();
    let plan = plan();
    State::save(&plan.identity(), &course(&plan), out).unwrap();
    let good = fs::read_to_string(State::path(out)).unwrap();
    let with = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        good.replacen(from, to, 1)
    };
    for (text, said) in [
        (String::new(), "EOF while parsing a value at line 1"),
        ("[]".to_owned(), "line 1 column"),
        (good[..good.len() / 2].to_owned(), "EOF"),
        (with("[[0,2],[5,6]]", "[[0,2],[2,6]]"), "ascending ranges"),
        (with("[[0,2],[5,6]]", "[[0,2],[5,7]]"), "do not fit"),
        (
            with("\"shard\":\"2/3\"", "\"shard\":\"4/3\""),
            "such as 2/4",
        ),
        (with("undo-forward", "undone"), "no seeded bug undone"),
        (with("\"digest\":\"", "\"digest\":\"0"), "64 hexadecimal"),
        (
            with("\"coverage\":[", "\"coverage\":[1,"),
            "another number of counts",
        ),
        (with("\"seed\"", "\"sead\""), "unknown field `sead`"),
    ] {
        let refused = refused(out, &text);
        assert!(matches!(refused, Refused::Broken(_)), "{refused}");
        assert!(refused.to_string().contains(said), "{said}: {refused}");
    }
}

#[test]
fn campaigns_are_told_apart_by_what_differs() {
    let differs = |change: fn(&mut Plan)| {
        let mut other = plan();
        change(&mut other);
        plan().identity().differs(&other.identity())
    };
    assert_eq!(differs(|_| ()), None);
    assert_eq!(differs(|plan| plan.end = End::Cases(2000)), None);
    let said = |change| differs(change).expect("it differs");
    assert_eq!(
        said(|plan| plan.seed = 7),
        format!("its seed is {}, not 7", u64::MAX)
    );
    assert_eq!(
        said(|plan| plan.given = Vec::new()),
        "its profile is faults, not all"
    );
    assert_eq!(
        said(|plan| plan.profiles[0].steps = (1, 2)),
        "its profile faults said something else"
    );
    assert_eq!(
        said(|plan| plan.shard = "1/3".parse().unwrap()),
        "its shard is 2/3, not 1/3"
    );
    assert_eq!(
        said(|plan| plan.bugs.clear()),
        "its seeded bug is undo-forward, not none"
    );
    assert_eq!(said(|plan| plan.stats = false), "it began with --stats");
}

/// What is loaded is what can be written again; everything else is refused with a reason.
fn is_read_or_refused(out: &Path, bytes: &[u8]) {
    fs::write(State::path(out), bytes).unwrap();
    match State::load(out) {
        Ok(state) => {
            let state = state.expect("the file is there");
            State::save(&state.campaign, &state.course, out).unwrap();
            let again = State::load(out).unwrap().expect("it was written");
            assert_eq!(
                (again.campaign, again.course),
                (state.campaign, state.course)
            );
        }
        Err(Error::State { refused, .. }) => assert!(!refused.to_string().is_empty()),
        Err(error) => panic!("{error}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_bytes_are_a_state_or_refused(bytes in vec(any::<u8>(), 0..300), opens in 0..2000_usize) {
        let folder = tempfile::tempdir().unwrap();
        is_read_or_refused(folder.path(), &bytes);
        let deep = [&b"{\"format\": 1, \"version\": "[..], &b"[".repeat(opens), &bytes].concat();
        is_read_or_refused(folder.path(), &deep);
    }

    #[test]
    fn a_changed_state_is_one_or_refused(
        changes in vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 1..4),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let plan = plan();
        State::save(&plan.identity(), &course(&plan), folder.path()).unwrap();
        let mut bytes = fs::read(State::path(folder.path())).unwrap();
        for (index, byte, change) in changes {
            let index = index.index(bytes.len());
            match change {
                0 => bytes[index] = byte,
                1 => bytes.insert(index, byte),
                // Numbers stay numbers and become other ones.
                2 => bytes[index] = if bytes[index].is_ascii_digit() { b'9' } else { bytes[index] },
                _ => {
                    bytes.remove(index);
                }
            }
        }
        is_read_or_refused(folder.path(), &bytes);
    }
}
