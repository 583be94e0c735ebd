//! The experiment that settled which spellings of a configuration file QEMU takes, and its
//! repetition: what it takes is taken here, with the same meaning, and what it refuses is refused.

use blkproof_device::ini;
use blkproof_spec::ByteRange;
use blkproof_spec::fault::IoType;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::qemu::{Deeds, has, here, there};

/// How many made-up files are compared.
const FILES: usize = 250;

/// What QEMU 10.0.2 answers to a file.
#[derive(Clone, Copy, Debug)]
enum Answer {
    Taken,
    /// With these words somewhere in its message.
    Refused(&'static str),
}

use Answer::{Refused, Taken};

const NO_NUMBER: Answer = Refused("expects a number");
const NO_ID: Answer = Refused("Parameter 'id' expects an identifier");

/// Whole files.
const FILES_TRIED: &[(&str, Answer)] = &[
    ("", Taken),
    ("\n\n# comment\n", Taken),
    ("[inject-error]\n\nevent = \"read_aio\"\n", Taken),
    // A line of nothing but blanks is no empty line.
    (" ", Refused("parse error")),
    (
        "[inject-error]\n \nevent = \"read_aio\"\n",
        Refused("parse error"),
    ),
    (
        "[inject-error]\n\r\nevent = \"read_aio\"\n",
        Refused("parse error"),
    ),
    ("[inject-error]\r\nevent = \"read_aio\"\r\n", Taken),
    // Comments begin in the first column, or behind what is complete, as anything may.
    (
        "[inject-error]\n # c\nevent = \"read_aio\"\n",
        Refused("Invalid parameter '#'"),
    ),
    ("[inject-error] # c\nevent = \"read_aio\" # c\n", Taken),
    ("[inject-error] junk\nevent = \"read_aio\" junk\n", Taken),
    ("[inject-error]x\"y\"\nevent = \"read_aio\"x\n", Taken),
    // Groups.
    (
        "\t[inject-error]\nevent = \"read_aio\"\n",
        Refused("no group defined"),
    ),
    (
        " [inject-error]\nevent = \"read_aio\"\n",
        Refused("no group defined"),
    ),
    (
        "[ inject-error ]\nevent = \"read_aio\"\n",
        Refused("option group ' inject-error '"),
    ),
    (
        "[inject-error ]\nevent = \"read_aio\"\n",
        Refused("option group 'inject-error '"),
    ),
    (
        "[inject-error\nevent = \"read_aio\"\n",
        Refused("There is no option group"),
    ),
    ("[inject-error", Refused("Missing event name for rule")),
    ("[]\n", Refused("no group defined")),
    ("[foo]\n", Refused("There is no option group 'foo'")),
    ("[set-state]\n", Refused("Missing event name for rule")),
    ("event = \"read_aio\"\n", Refused("no group defined")),
    ("event=\"read_aio\"\n", Refused("no group defined")),
    // Ids.
    ("[inject-error \"a\"]\nevent = \"read_aio\"\n", Taken),
    ("[ inject-error \t\"a\"]\nevent = \"read_aio\"\n", Taken),
    ("[inject-error \"a\" junk\nevent = \"read_aio\"\n", Taken),
    (
        "[inject-error] \"a\"\nevent = \"read_aio\"\n",
        Refused("option group 'inject-error]'"),
    ),
    ("[inject-error \"a\nevent = \"read_aio\"\n", NO_ID),
    ("[inject-error \"a b\"]\nevent = \"read_aio\"\n", NO_ID),
    ("[inject-error \"1\"]\nevent = \"read_aio\"\n", NO_ID),
    (
        "[inject-error \"\"]\nevent = \"read_aio\"\n",
        Refused("There is no option group"),
    ),
    ("[inject-error]\nid = \"\"\nevent = \"read_aio\"\n", NO_ID),
    (
        "[inject-error]\nid\nid = \"a-.Z_9\"\nevent = \"read_aio\"\n",
        Taken,
    ),
    (
        "[inject-error \"a\"]\nevent = \"none\"\n[inject-error \"a\"]\nevent = \"none\"\n",
        Refused("Duplicate ID 'a' for inject-error"),
    ),
    (
        "[inject-error \"a\"]\nevent = \"none\"\n[set-state \"a\"]\nevent = \"none\"\n",
        Taken,
    ),
    (
        "[inject-error \"a\"]\nid = \"b\"\nevent = \"none\"\n\
         [inject-error \"a\"]\nevent = \"none\"\n",
        Taken,
    ),
];

/// Groups in which a line stands behind the event, and before another for some.
const LINES_TRIED: &[(&str, Answer)] = &[
    ("once = \"on\"", Taken),
    ("  once\t=\u{b}\u{c}\"on\"", Taken),
    ("once =\"on\"", Taken),
    ("once= \"on\"", Refused("Invalid parameter 'once='")),
    ("once=\"on\"", Refused("Invalid parameter 'once=\"on\"'")),
    ("once == \"on\"", Refused("expects 'on' or 'off'")),
    ("once = on", Refused("expects 'on' or 'off'")),
    ("once = 'on'", Refused("expects 'on' or 'off'")),
    ("once", Refused("expects 'on' or 'off'")),
    ("once = \"ON\"", Refused("expects 'on' or 'off'")),
    ("once = \" on\"", Refused("expects 'on' or 'off'")),
    ("once = \"y", Taken),
    ("once = \"y\n", Refused("expects 'on' or 'off'")),
    ("\"once\" = \"on\"", Refused("Invalid parameter '\"once\"'")),
    ("once\u{a0}=\u{a0}\"on\"", Refused("Invalid parameter")),
    ("Once = \"on\"", Refused("Invalid parameter 'Once'")),
    (
        "new_state = \"1\"",
        Refused("Invalid parameter 'new_state'"),
    ),
    // The last value of a key counts, whatever it had before.
    ("once\nonce = \"off\"", Taken),
    ("once = \"off\"\nonce", Refused("expects 'on' or 'off'")),
    ("errno = \"EIO\"\nerrno = \"28\"", Taken),
    ("errno = \"28\"\nerrno = \"EIO\"", NO_NUMBER),
    ("event = \"nonsense\"\nevent = \"read_aio\"", Taken),
    // Numbers.
    ("errno = \"0x1c\"", Taken),
    ("errno = \"0X1C\"", Taken),
    ("errno = \"034\"", Taken),
    ("errno = \"00\"", Taken),
    ("errno = \" \t28\"", Taken),
    ("errno = \"+28\"", Taken),
    ("errno = \"-0\"", Taken),
    ("errno = \"28 \"", NO_NUMBER),
    ("errno = \"+-28\"", NO_NUMBER),
    ("errno = \"- 28\"", NO_NUMBER),
    ("errno = \"0x\"", NO_NUMBER),
    ("errno = \"08\"", NO_NUMBER),
    ("errno = \"0b1\"", NO_NUMBER),
    ("errno = \"\"", NO_NUMBER),
    ("errno = \"1e1\"", NO_NUMBER),
    ("sector = \"-1\"", Taken),
    ("sector = \"-0x1\"", Taken),
    ("sector = \"18446744073709551615\"", Taken),
    ("sector = \"18014398509481983\"", Taken),
    (
        "sector = \"18446744073709551616\"",
        Refused("too large for parameter 'sector'"),
    ),
    // Words.
    (
        "event = \"READ_AIO\"",
        Refused("invalid parameter value: READ_AIO"),
    ),
    (
        "event = \" read_aio\"",
        Refused("invalid parameter value:  read_aio"),
    ),
    ("iotype = \"block-status\"", Taken),
    (
        "iotype = \"Read\"",
        Refused("invalid parameter value: Read"),
    ),
    // A NUL ends a line.
    ("once = \"on\0off\"", Taken),
    ("once = \"on\"\0\"", Taken),
];

/// Lines that QEMU takes with other numbers than they say, which is refused here.
const WRAPPED: &[&str] = &[
    "state = \"4294967297\"",
    "state = \"-1\"",
    "errno = \"65536\"",
    "errno = \"-5\"",
    "sector = \"-2\"",
    "sector = \"18014398509481984\"",
];

fn with_line(line: &str) -> String {
    format!("[inject-error]\nevent = \"read_aio\"\n{line}")
}

/// Lines that are longer than what QEMU reads at once.
fn long_lines() -> [(String, Answer); 4] {
    let filled = |len: usize, with: &str| format!("#{}{with}", "x".repeat(len));
    let group = "[inject-error]\nevent = \"none\"\n";
    [
        (filled(1100, "\n"), Refused("no group defined")),
        (filled(1022, "\n"), Taken),
        (filled(1022, group), Taken),
        (filled(1021, group), Refused("no group defined")),
    ]
}

fn tried() -> Vec<(String, Answer)> {
    let files = FILES_TRIED.iter();
    let lines = LINES_TRIED.iter();
    files
        .map(|(text, answer)| ((*text).to_owned(), *answer))
        .chain(lines.map(|(line, answer)| (with_line(line), *answer)))
        .chain(long_lines())
        .collect()
}

/// A few requests that most rules meet.
fn deeds() -> Deeds {
    let sector = ByteRange::new(0, 512);
    let kinds = [IoType::Read, IoType::Read, IoType::Write, IoType::Write];
    Deeds::plain(kinds.iter().map(|kind| (*kind, sector)).collect())
}

#[test]
fn what_qemu_takes_is_taken() {
    for (text, answer) in tried() {
        let parsed = ini::parse(text.as_bytes());
        let taken = matches!(answer, Taken);
        assert_eq!(parsed.is_ok(), taken, "{text:?}: {parsed:?}");
    }
    for line in WRAPPED {
        ini::parse(with_line(line).as_bytes()).unwrap_err();
    }
}

#[test]
fn not_only_text_is_taken() {
    let text = b"# \xff\n[inject-error] \xff\nevent = \"none\"\n";
    assert_eq!(ini::parse(text).map(|rules| rules.len()), Ok(1));
    let error = ini::parse(b"[inject-error \"\xff\"]\nevent = \"none\"\n").unwrap_err();
    assert_eq!((error.line, error.column), (1, 16));
}

#[test]
fn qemu_still_answers_so() {
    if !has("qemu-io") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (text, answer) in tried() {
        match (there(folder.path(), text.as_bytes(), &deeds()), answer) {
            (Ok(outcome), Taken) => {
                let rules = ini::parse(text.as_bytes()).unwrap();
                assert_eq!(here(&rules, &deeds()), outcome, "{text:?}");
            }
            (Err(said), Refused(words)) => assert!(said.contains(words), "{text:?}: {said}"),
            (other, _) => panic!("{text:?}: {other:?}, and not {answer:?}"),
        }
    }
    for line in WRAPPED {
        let there = there(folder.path(), with_line(line).as_bytes(), &deeds());
        assert!(there.is_ok(), "{line}: {there:?}");
    }
}

/// Makes up a line of a file, mostly one that is right.
fn line() -> impl Strategy<Value = String> {
    let piece = |words: &'static [&'static str]| prop::sample::select(words);
    let key = piece(&[
        "event",
        "event",
        "state",
        "errno",
        "once",
        "iotype",
        "new_state",
        "id",
        "x",
    ]);
    let sign = piece(&[" = ", " = ", " =", "= ", "=", "\t=\t", " ", " == "]);
    let value = piece(&[
        "read_aio",
        "write_aio",
        "none",
        "1",
        "2",
        "0x5",
        "-0",
        "on",
        "off",
        "read",
        "write",
        "a",
        "",
        " 1",
        "1 ",
    ]);
    let quote = piece(&["\"", "\"", "\"", "\"", "\"", "\"", "", "'"]);
    let end = piece(&["\n", "\n", "\n", "\n", " # x\n", "\r\n", "", "\0\n", "]\n"]);
    let assigned = (key, sign, quote.clone(), value, quote, end).prop_map(
        |(key, sign, open, value, close, end)| format!("{key}{sign}{open}{value}{close}{end}"),
    );
    let other = piece(&[
        "[inject-error]\n",
        "[set-state]\n",
        "[inject-error \"a\"]\n",
        "[set-state \"b\"] #\n",
        "[ inject-error]\n",
        " [set-state]\n",
        "[inject-error",
        "[foo]\n",
        "# c\n",
        " # c\n",
        "\n",
        " \n",
    ]);
    prop_oneof![
        14 => piece(&[
            "event = \"read_aio\"\n",
            "event = \"write_aio\"\n",
            "once = \"on\"\n",
            "state = \"1\"\n",
        ]).prop_map(str::to_owned),
        2 => assigned,
        3 => piece(&["[inject-error]\nevent = \"read_aio\"\n", "[set-state]\nevent = \"none\"\n"])
            .prop_map(str::to_owned),
        1 => other.prop_map(str::to_owned),
    ]
}

#[test]
fn qemu_takes_the_same_of_made_up_files() {
    if !has("qemu-io") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[125; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let files = prop::collection::vec(line(), 0..6)
        .prop_map(|lines| format!("[inject-error]\n{}", lines.concat()));
    let mut taken = 0;
    for _ in 0..FILES {
        let text = files.new_tree(&mut runner).unwrap().current();
        let there = there(folder.path(), text.as_bytes(), &deeds());
        match (ini::parse(text.as_bytes()), there) {
            (Ok(rules), Ok(outcome)) => {
                taken += 1;
                assert_eq!(here(&rules, &deeds()), outcome, "{text:?}");
            }
            (Err(_), Err(_)) => {}
            (here, there) => panic!("{text:?}: {here:?}, and there {there:?}"),
        }
    }
    assert!(
        taken > FILES / 5 && taken < FILES * 4 / 5,
        "{taken} of {FILES} files were taken"
    );
}
