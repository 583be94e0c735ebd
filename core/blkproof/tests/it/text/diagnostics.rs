//! What is said of broken texts.

use blkproof::spec::scenario::CHAIN_MAX;
use blkproof::text::{MAX_LINE, MAX_TEXT, parse};

/// Returns the errors of `lines` behind a header and a disk, whose lines are 1 and 2.
fn errors(lines: &str) -> String {
    let text = format!("blkproof 1\ndisk drive0 64M qcow2\n{lines}\n");
    parse(text.as_bytes())
        .expect_err("the text is broken")
        .to_string()
}

#[track_caller]
fn check(lines: &str, expected: &str) {
    assert_eq!(errors(lines), expected);
}

#[test]
fn unknown_words_suggest_the_nearest() {
    check(
        "wirte drive0 0 512 fill=1",
        "3:1: found `wirte`, expected a step; did you mean `write`?",
    );
    check(
        "bitmap ad drive0 b0",
        "3:8: found `ad`, expected one of add, remove, clear, enable, disable, merge; \
         did you mean `add`?",
    );
    check(
        "fault drive0.file inject-error event=read_aoi",
        "3:38: found `read_aoi`, expected an event of blkdebug, such as read_aio; \
         did you mean `read_aio`?",
    );
    check(
        "flush drive0 expect=refused(no-such-devise)",
        "3:29: found `no-such-devise`, expected a reason to refuse, such as no-such-device; \
         did you mean `no-such-device`?",
    );
    check(
        "backup drive0 full to=t jbo=j0",
        "3:25: found `jbo=j0`, expected the end of the line or an option of this step; \
         did you mean `job`?",
    );
    check(
        "expect fail dirty-sond",
        "3:13: found `dirty-sond`, expected a property; did you mean `dirty-sound`?",
    );
}

#[test]
fn values_are_checked_where_they_stand() {
    check(
        "write drive0 0 12kb fill=1",
        "3:16: found `12kb`, expected a length such as 512 or 64k",
    );
    check(
        "write drive0 0 512 fill=256",
        "3:25: found `256`, expected a byte from 0 to 255, such as 0x41",
    );
    check(
        "write drive0 16777215T 2T stamp",
        "3:24: found `2T`, expected a length that ends below 2^64",
    );
    check(
        "read drive0.file 0 512",
        "3:6: found `drive0.file`, expected a disk, such as drive0, or drive0.node for its node; \
         `.file` is a place of faults, not a disk",
    );
    check(
        "tick 5",
        "3:6: found `5`, expected a duration such as 500ms or 2s",
    );
    check(
        "check digest drive0 sha256=00",
        "3:28: found `00`, expected a SHA-256: 64 hexadecimal digits",
    );
    check(
        "check drive0 == drive0 expect=refused",
        "3:31: found `refused`, expected `done` or `any`: a check is no command",
    );
}

#[test]
fn what_is_missing_or_too_much_is_said() {
    check(
        "write drive0 0 512",
        "3:19: found the end of the line, expected what is written: `fill=BYTE` or `stamp`",
    );
    check(
        "write drive0 0",
        "3:15: found the end of the line, expected a length such as 512 or 64k",
    );
    check(
        "backup drive0 full",
        "3:19: found the end of the line, expected `to=`",
    );
    check(
        "flush drive0 now",
        "3:14: found `now`, expected the end of the line or an option of this step",
    );
    check(
        "backup drive0 full to=a to=b",
        "3:25: found `to=b`, expected the end of the line; `to` is given twice",
    );
    check(
        "write drive0 0 512 stamp fua=yes",
        "3:26: found `fua=yes`, expected `fua` without a value",
    );
    check(
        "flush \"drive0",
        "3:7: found `\\\"drive0`, expected a closing quote",
    );
}

#[test]
fn the_setup_is_checked() {
    check(
        "disk drive0 1M raw",
        "3:6: found `drive0`, expected a name that no other disk has",
    );
    check(
        "disk a 1000 raw",
        "3:8: found `1000`, expected a multiple of 512",
    );
    check(
        "disk a 1M qcow2 cluster=3k",
        "3:25: found `3k`, expected a power of two from 512 to 2M",
    );
    check(
        "disk a 1M qcow2 backing=drive1",
        "3:25: found `drive1`, expected a disk of a line above; did you mean `drive0`?",
    );
    check(
        "contents drive0 63M 2M fill=1",
        "3:21: found `2M`, expected a range within the disk's 67108864 bytes",
    );
    check(
        "disk a 1T qcow2 cluster=512",
        "3:8: found `1T`, expected a size of at most 128G, which is all that clusters of 512 can \
         map",
    );
    check(
        "disk a 9223372036854775296 raw",
        "3:8: found `9223372036854775296`, expected a size of at most 8589934591G",
    );
    check(
        "disk a 1M qcow2 backing=drive0",
        "3:25: found `drive0`, expected a backing file that nothing writes to; \
         drive0 is opened as a disk; `role=image` leaves it",
    );
    check(
        "disk a 1M qcow2 backing=drive0 role=image\ndisk b 1M qcow2 backing=a",
        "4:25: found `a`, expected a backing file that nothing writes to; \
         drive0 is opened as a disk; `role=image` leaves it",
    );
    check(
        "flush drive0\ndisk a 1M raw",
        "4:1: found `disk`, expected a step; what is set up stands before the first step",
    );
    check(
        "title a\ntitle b",
        "4:7: found `b`, expected another line: this one may stand only once",
    );
}

#[test]
fn chains_are_bounded() {
    let chain = |len: usize| {
        let disks = (1..len).map(|number| {
            let below = number - 1;
            format!("disk d{number} 1M qcow2 role=image backing=d{below}\n")
        });
        let disks: String = disks.collect();
        format!("blkproof 1\ndisk d0 1M raw role=image\n{disks}")
    };
    parse(chain(CHAIN_MAX).as_bytes()).expect("the chain is short enough");
    let error = parse(chain(CHAIN_MAX + 1).as_bytes()).expect_err("the chain is too long");
    assert_eq!(
        error.to_string(),
        "202:39: found `d199`, expected a chain of at most 200 images"
    );
}

#[test]
fn transactions_end() {
    check(
        "transaction grouped\n  abort",
        "3:1: found `transaction grouped`, expected an `end` behind its actions",
    );
    check(
        "transaction all\nend",
        "3:13: found `all`, expected one of `grouped` and `individual`\n\
         4:1: found `end`, expected a step",
    );
    check(
        "transaction grouped\n  flush drive0\nend",
        "4:3: found `flush`, expected `abort`, `bitmap`, `backup` or `end`",
    );
}

#[test]
fn several_errors_are_told_at_once() {
    check(
        "flsh drive0\nflush drive0\nread drive0 x 1",
        "3:1: found `flsh`, expected a step; did you mean `flush`?\n\
         5:13: found `x`, expected a position such as 0, 512 or 16M",
    );
    let many = errors(&"what\n".repeat(1000));
    assert!(many.ends_with("and 980 more errors"), "{many}");
}

#[test]
fn other_versions_are_refused_by_name() {
    let error = parse(b"blkproof 7\nflush drive0\n").expect_err("it is of another version");
    assert_eq!(
        error.to_string(),
        "1:10: found version 7, expected version 1; the scenario is written for version 7; \
         this blkproof reads version 1"
    );
    let error = parse(b"# only\n\nflush drive0\n").expect_err("there is no header");
    assert_eq!(
        error.to_string(),
        "3:1: found `flush`, expected `blkproof 1`, the first line of a scenario"
    );
    let error = parse(b"").expect_err("there is no header");
    assert_eq!(
        error.to_string(),
        "1:1: found the end of the text, expected `blkproof 1`, the first line of a scenario"
    );
}

#[test]
fn what_is_too_large_or_no_text_is_refused() {
    let error = parse(&vec![b'\n'; MAX_TEXT + 1]).expect_err("it is too large");
    assert!(
        error.to_string().starts_with("1:1: found a text of"),
        "{error}"
    );
    let line = errors(&"x".repeat(MAX_LINE + 1));
    assert_eq!(
        line,
        "3:1: found a line of 16385 bytes, expected at most 16384 bytes"
    );
    let error = parse(b"blkproof 1\n# \xc3\xa9 \xff\n").expect_err("it is no text");
    assert_eq!(
        error.to_string(),
        "2:5: found the byte 0xff, expected text in UTF-8"
    );
}

#[test]
fn columns_count_characters() {
    check(
        "write \"\u{fc}\u{e9}\" 0 x stamp",
        "3:14: found `x`, expected a length such as 512 or 64k",
    );
}

#[test]
fn excerpts_show_the_place() {
    let text = b"blkproof 1\ndisk drive0 64M qcow3\n";
    let errors = parse(text).expect_err("the text is broken");
    assert_eq!(
        errors.render("a.blk", text),
        "\
error: found `qcow3`, expected one of qcow2, raw
 --> a.blk:2:17
  |
2 | disk drive0 64M qcow3
  |                 ^^^^^ one of qcow2, raw
  |
  = help: did you mean `qcow2`?

"
    );
}
