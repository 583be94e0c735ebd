//! Files of people: no text brings their parsers down, and what is refused is told with its line.

use blkproof::generate::{Kind, Profile};
use blkproof::known::{Known, KnownError};
use proptest::collection::vec;
use proptest::prelude::*;

const PROFILE: &str = "# How scenarios lean.\nsteps = [3, 5]\nrestart = 10\nclusters = [9, 16]\n\
    disks = [1, 2] # two\nraw = 50\nwrite = 0\n";

const KNOWN: &str = "# Our issue 12.\nrestore-exact at check\n\nno-crash at backup: index out of\n\
    expectation\nsubject: gone\nfault-surfaces: d, 0..8\n";

fn word(words: &'static str) -> impl Strategy<Value = String> {
    let words: Vec<_> = words.split(' ').collect();
    let separator = prop_oneof![4 => Just(" "), 2 => Just("\n"), 1 => Just(""), 1 => Just("\r\n")];
    (prop::sample::select(words), separator)
        .prop_map(|(word, separator)| format!("{word}{separator}"))
}

/// A text in which some bytes were replaced, added or taken out.
fn changed(text: &'static str) -> impl Strategy<Value = String> {
    let change = (any::<prop::sample::Index>(), any::<u8>(), 0..3_u8);
    vec(change, 1..5).prop_map(move |changes| {
        let mut bytes = text.as_bytes().to_vec();
        for (index, byte, change) in changes {
            let index = index.index(bytes.len());
            match change {
                0 => bytes[index] = byte,
                1 => bytes.insert(index, byte),
                _ => {
                    bytes.remove(index);
                }
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn text(words: &'static str, good: &'static str) -> impl Strategy<Value = String> {
    let any_bytes = vec(any::<u8>(), 0..200);
    prop_oneof![
        any_bytes.prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
        vec(word(words), 0..40).prop_map(|words| words.concat()),
        changed(good),
    ]
}

/// The number of the line that an error names at its beginning.
fn line_of(said: &str) -> usize {
    let number = said
        .strip_prefix("line ")
        .and_then(|rest| rest.split(':').next());
    let number = number.unwrap_or_else(|| panic!("no line is named: {said}"));
    number.parse().expect("a number")
}

const PROFILE_WORDS: &str = "steps disks clusters raw huge write restart restrat = == [ ] , # -1 0 \
    1 3 9 99 1000000 99999999999999999999999 [1,2] [2,1] [] \" .";

const KNOWN_WORDS: &str = "restore-exact no-crash expectation subject restore-exat at check backup \
    opening end nowhere : :: , # restore-exact:x";

proptest! {
    #[test]
    fn any_profile_is_read_or_refused_with_its_line(text in text(PROFILE_WORDS, PROFILE)) {
        match Profile::parse("any", &text) {
            // What is read leaves something to choose from.
            Ok(profile) => {
                for (low, high) in [profile.steps, profile.disks, profile.clusters] {
                    prop_assert!(1 <= low && low <= high);
                }
                prop_assert!(Kind::ALL.iter().any(|kind| profile.weight(*kind) > 0));
            }
            Err(error) => {
                let line = line_of(&error.to_string());
                prop_assert!((1..=text.lines().count()).contains(&line), "{error}");
            }
        }
    }

    #[test]
    fn any_list_of_findings_is_read_or_refused_with_its_line(text in text(KNOWN_WORDS, KNOWN)) {
        match Known::parse(&text) {
            // What is read is written as a list that means the same.
            Ok(known) => {
                let lines = known.findings().iter().map(|finding| format!("{finding}\n"));
                let again = Known::parse(&lines.collect::<String>()).expect("it was read");
                let words = |known: &Known| {
                    let findings = known.findings().iter();
                    findings.map(ToString::to_string).collect::<Vec<_>>()
                };
                prop_assert_eq!(words(&again), words(&known));
            }
            Err(KnownError::Line { line, message }) => {
                let line = usize::try_from(line).expect("a small number");
                prop_assert!((1..=text.lines().count()).contains(&line));
                prop_assert!(!message.is_empty());
            }
            Err(error) => prop_assert!(false, "{error}"),
        }
    }
}
