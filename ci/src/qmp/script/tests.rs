use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

use super::{Step, parse};

fn steps(text: &str) -> Vec<Step> {
    let script = parse(text).expect("a good script");
    script
        .lines
        .into_iter()
        .filter_map(|line| line.step)
        .collect()
}

fn refusal(text: &str) -> String {
    parse(text)
        .expect_err("a bad script")
        .in_file("f")
        .to_string()
}

fn command(name: &str, arguments: serde_json::Value) -> Step {
    let arguments = arguments.as_object().expect("an object").clone();
    Step::Command {
        name: name.to_owned(),
        arguments,
    }
}

#[test]
fn both_forms_of_a_command_mean_the_same() {
    let short = steps("job-cancel {\"id\": \"j\"}");
    let long = steps("{\"execute\": \"job-cancel\", \"arguments\": {\"id\": \"j\"}}");
    assert_eq!(short, long);
    assert_eq!(short, [command("job-cancel", json!({"id": "j"}))]);
    assert_eq!(steps("query-jobs"), [command("query-jobs", json!({}))]);
}

#[test]
fn a_line_that_starts_with_a_blank_continues_the_one_above() {
    let text = "job-cancel\n    {\"id\":\n     \"j\"}\n\n# end\nquery-jobs\n";
    let want = [
        command("job-cancel", json!({"id": "j"})),
        command("query-jobs", json!({})),
    ];
    assert_eq!(steps(text), want);
}

#[test]
fn directives_take_their_words() {
    let text = "export src\n\
                guest src \"write 0 512\" flush\n\
                wait-event JOB_STATUS_CHANGE j paused\n\
                wait-job j offset 65536\n\
                wait-job j paused true\n\
                qemu-img create -f raw \"a b\" 1M";
    let words = |list: &[&str]| list.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    let wait_job = |field: &str, value| Step::WaitJob {
        id: "j".to_owned(),
        field: field.to_owned(),
        value,
    };
    let want = [
        Step::Export("src".to_owned()),
        Step::Guest {
            node: "src".to_owned(),
            commands: words(&["write 0 512", "flush"]),
        },
        Step::WaitEvent {
            name: "JOB_STATUS_CHANGE".to_owned(),
            values: vec![json!("j"), json!("paused")],
        },
        wait_job("offset", json!(65536)),
        wait_job("paused", json!(true)),
        Step::Program {
            name: "qemu-img",
            args: words(&["create", "-f", "raw", "a b", "1M"]),
        },
    ];
    assert_eq!(steps(text), want);
}

#[test]
fn errors_name_line_and_column() {
    let cases = [
        ("\n  x", "f:2:1: nothing above for this line to continue"),
        ("# c\n  x", "f:2:1: nothing above for this line to continue"),
        ("job-cancel {\"id\" 1}", "f:1:18: expected `:`"),
        (
            "query-jobs\njob-cancel {\"id\":\n   ?}",
            "f:3:4: expected value",
        ),
        (
            "job-cancel [1]",
            "f:1:12: expected { with the arguments of job-cancel, found \"[1]\"",
        ),
        (
            "Job {}",
            "f:1:1: expected a QMP command, a directive or #, found \"Job\"",
        ),
        (
            "{\"exec\": \"x\"}",
            "f:1:1: a command has execute and arguments, found \"exec\"",
        ),
        (
            "{}",
            "f:1:1: a command needs a member execute with its name",
        ),
        (
            "{\"execute\": 1}",
            "f:1:1: a command needs a member execute with its name",
        ),
        (
            "{\"execute\": \"x\", \"arguments\": 1}",
            "f:1:1: the member arguments must be an object",
        ),
        ("guest src", "f:1:1: expected guest NODE COMMAND..."),
        ("guest src 'x", "f:1:11: this quote is not closed"),
        ("wait-job j", "f:1:1: expected wait-job ID FIELD VALUE"),
        ("export a b", "f:1:1: expected fewer words; see qmp --help"),
        ("bitmaps b", "f:1:9: bitmaps takes nothing after it"),
    ];
    for (text, want) in cases {
        assert_eq!(refusal(text), want, "{text}");
    }
}

#[test]
fn expect_error_needs_a_step_that_can_fail() {
    assert_eq!(
        refusal("expect-error x\n# no more"),
        "f:1:1: expect-error without a step after it"
    );
    let waiting = "f:2:1: after expect-error: expected a QMP command, guest, qemu-img or qemu-io";
    assert_eq!(refusal("expect-error x\nbitmaps"), waiting);
    let twice = "f:2:1: an expect-error before this one still waits for its step";
    assert_eq!(refusal("expect-error x\nexpect-error y\nquery-jobs"), twice);
}

const GOOD: &str = "# A job.\nexport d\nguest write d 0 64k\nqemu-img create -f qcow2 t 1M\n\
    blockdev-backup {\"job-id\": \"j\",\n    \"device\": \"d\"}\nwait-job j status concluded\n\
    expect-error no such\njob-cancel {\"id\": \"j\"}\nbitmaps\nrestart\n";

const WORDS: &str = "export unexport guest wait-event wait-job qemu-img qemu-io bitmaps restart \
    kill expect-error query-jobs job-cancel {\"id\": \"j\"} {\"execute\": { } [ ] \" ' \\ # write \
    read d 0 64k 'a \"b";

/// Parses a script; what is refused is told with a place that is there.
fn survives(text: &str) {
    if let Err(error) = parse(text) {
        let lines = text.lines().count().max(1);
        assert!((1..=lines).contains(&error.line), "{error:?}");
        assert!(error.column >= 1 && !error.message.is_empty(), "{error:?}");
    }
}

fn words() -> impl Strategy<Value = String> {
    let words: Vec<_> = WORDS.split(' ').collect();
    let separator = prop_oneof![4 => Just(" "), 3 => Just("\n"), 1 => Just("\n "), 1 => Just("")];
    let word = (prop::sample::select(words), separator)
        .prop_map(|(word, separator)| format!("{word}{separator}"));
    vec(word, 0..40).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn any_text_is_a_script_or_refused_at_a_place(
        bytes in vec(any::<u8>(), 0..200),
        words in words(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>(), any::<bool>()), 1..4),
    ) {
        survives(&String::from_utf8_lossy(&bytes));
        survives(&words);
        let mut good = GOOD.as_bytes().to_vec();
        for (index, byte, adds) in changes {
            let index = index.index(good.len());
            if adds {
                good.insert(index, byte);
            } else {
                good[index] = byte;
            }
        }
        survives(&String::from_utf8_lossy(&good));
    }
}

#[test]
fn the_script_that_is_changed_is_a_good_one() {
    parse(GOOD).unwrap_or_else(|error| panic!("{}", error.in_file("good")));
}
