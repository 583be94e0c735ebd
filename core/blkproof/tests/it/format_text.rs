//! The text of the format level.

use blkproof::format::text::{parse, print};
use blkproof::format::{Action, Op, Property, Stated};

const PAGE: &str = include_str!("../../FORMAT.md");

const ALL: &str = "blkproof-format 1
title everything once
expect fail reads-exact
image 2M cluster=4k refcount-bits=1 made-by=qemu-img align=512 cache=small
base 1M qcow2
look every-step
at-open base.file error errno=EIO iotype=read when=nth(2) name=r0
read 0 512
write 512 1k stamp retry
write 1k 4k fill=0x41
write-zeroes 0 64k
discard 64k 64k retry
flush
sync
resize 4M
drop-caches
reopen
fault image.file torn keep=left errno=EIO iotype=write when=from(3)
lift r0
lift-all
kill at=3
kill
power-cut lost=worst torn=left at=9
power-cut lost=all
";

fn refusals(text: &str) -> Vec<String> {
    let error = parse(text.as_bytes()).expect_err(text);
    error.list.iter().map(ToString::to_string).collect()
}

#[test]
fn parsing_and_printing_are_inverse() {
    let scenario = parse(ALL.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(print(&scenario), ALL);
    assert_eq!(scenario.outcome, Stated::Fail(Property::ReadsExact));
    assert_eq!(scenario.steps.len(), 17);
    assert!(matches!(
        scenario.steps[1].action,
        Action::Request(Op::Write { .. })
    ));
    assert!(scenario.steps[1].retry);
}

#[test]
fn the_example_of_the_page_is_a_scenario() {
    let example = PAGE.split("```").nth(1).expect("an example").trim_start();
    let scenario = parse(example.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(print(&scenario), example, "in canonical form");
}

#[test]
fn every_property_is_read_by_its_name() {
    for property in Property::ALL {
        let text = format!("blkproof-format 1\nexpect fail {property}\nimage 1M\n");
        let scenario = parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(scenario.outcome, Stated::Fail(*property));
    }
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    for (text, wanted) in [
        (
            "",
            "1:1: found the end of the text, expected `blkproof-format 1`",
        ),
        (
            "blkproof 1\n",
            "1:1: found `blkproof`, expected `blkproof-format 1`",
        ),
        ("blkproof-format 2\n", "1:17: found `2`, expected version 1"),
        (
            "blkproof-format 1\n",
            "2:1: found the end of the text, expected `image SIZE`",
        ),
        (
            "blkproof-format 1\nimage 1M\nimage 1M\n",
            "3:1: found `image`, expected another",
        ),
        (
            "blkproof-format 1\nimage 1G\n",
            "2:7: found `1G`, expected a size from 512 to 64M",
        ),
        (
            "blkproof-format 1\nimage 1M cluster=3k\n",
            "expected a power of two from 512 to 2M",
        ),
        (
            "blkproof-format 1\nimage 1M\nflush\nlook end\n",
            "4:1: found `look`, expected a step",
        ),
        (
            "blkproof-format 1\nimage 1M\nwrit 0 1 stamp\n",
            "did you mean `write`?",
        ),
        (
            "blkproof-format 1\nimage 1M\nread 0 1T\n",
            "expected a range within the image",
        ),
        (
            "blkproof-format 1\nimage 1M\nkill retry\n",
            "3:6: found `retry`",
        ),
        (
            "blkproof-format 1\nimage 1M\nfault image.file phantom\n",
            "expected a fault that is reported",
        ),
        (
            "blkproof-format 1\nimage 1M\nfault disk.file error errno=EIO\n",
            "its places are image.file and base.file",
        ),
        (
            "blkproof-format 1\nexpect fail restore-exact\nimage 1M\n",
            "2:13: found `restore-exact`, expected a property",
        ),
    ] {
        let told = refusals(text).join("\n");
        assert!(told.contains(wanted), "{text:?}: {told}");
    }
}

#[test]
fn any_bytes_are_refused_or_come_out_again() {
    let mut text = ALL.as_bytes().to_vec();
    for index in 0..text.len() {
        let kept = text[index];
        for byte in [b'\n', b' ', b'=', b'0', b'z', 0xff] {
            text[index] = byte;
            if let Ok(scenario) = parse(&text) {
                let printed = print(&scenario);
                assert_eq!(parse(printed.as_bytes()).as_ref(), Ok(&scenario));
            }
        }
        text[index] = kept;
    }
}
