//! The `qmp` verb from outside: its transcript, its errors, its exit codes.

use std::fs;
use std::io::Write;
use std::process::Command;

/// What a run of the program left behind.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

pub(crate) fn ci(args: &[&str]) -> Run {
    finish(Command::new(env!("CARGO_BIN_EXE_ci")).args(args))
}

fn finish(command: &mut Command) -> Run {
    let output = command.output().expect("ci starts");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    let code = output.status.code().expect("ci ends by itself");
    Run {
        code,
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

/// Whether a test has to be left out because QEMU is missing; says so where the test runner does
/// not swallow it. With `BLKPROOF_REQUIRE_QEMU=1` a missing QEMU fails the test.
pub(crate) fn missing_qemu(test: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let missing = ["qemu-storage-daemon", "qemu-img", "qemu-io"]
        .into_iter()
        .find(|program| !std::env::split_paths(&path).any(|folder| folder.join(program).exists()));
    let Some(program) = missing else { return false };
    let required = std::env::var("BLKPROOF_REQUIRE_QEMU").is_ok_and(|value| value == "1");
    assert!(
        !required,
        "{test}: {program} was not found, and BLKPROOF_REQUIRE_QEMU=1 wants it"
    );
    let note = format!("{test}: skipped, because {program} was not found\n");
    std::io::stderr()
        .write_all(note.as_bytes())
        .expect("standard error takes a line");
    true
}

/// Runs a file with this text; `FILE` in what was printed stands for its path.
fn qmp(timeout: &str, text: &str) -> Run {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("questions.qmp");
    fs::write(&file, text).expect("a new file");
    let file = file.to_str().expect("a path in UTF-8");
    let mut run = ci(&["qmp", "--timeout", timeout, file]);
    run.err = run.err.replace(file, "FILE");
    run
}

#[test]
fn the_transcript_repeats_the_file_with_the_answers() {
    if missing_qemu("the_transcript_repeats_the_file_with_the_answers") {
        return;
    }
    let text = "\
# A comment stays.
qemu-img create -q -f qcow2 a.qcow2 1M
blockdev-add {\"node-name\": \"a\", \"driver\": \"qcow2\",
    \"file\": {\"driver\": \"file\", \"filename\": \"${DIR}/a.qcow2\"}}
block-dirty-bitmap-add {\"node\": \"a\", \"name\": \"b\"}
export a
guest a \"write -P 7 0 512\"
bitmaps
expect-error Duplicate nodes
{\"execute\": \"blockdev-add\", \"arguments\": {\"node-name\": \"a\", \"driver\": \"null-co\"}}
unexport a
query-jobs
qemu-io -U -r -f qcow2 ${DIR}/a.qcow2 -c \"read -P 7 0 512\"
";
    let want = "\
# A comment stays.
qemu-img create -q -f qcow2 a.qcow2 1M
blockdev-add {\"node-name\": \"a\", \"driver\": \"qcow2\",
    \"file\": {\"driver\": \"file\", \"filename\": \"${DIR}/a.qcow2\"}}
    -> done
block-dirty-bitmap-add {\"node\": \"a\", \"name\": \"b\"}
    -> done
export a
guest a \"write -P 7 0 512\"
    wrote 512/512 bytes at offset 0
bitmaps
    a b: busy=false count=65536 granularity=65536 persistent=false recording=true
expect-error Duplicate nodes
{\"execute\": \"blockdev-add\", \"arguments\": {\"node-name\": \"a\", \"driver\": \"null-co\"}}
    -> refused: Duplicate nodes with node-name='a'
unexport a
    * BLOCK_EXPORT_DELETED id=export-a
query-jobs
    -> []
qemu-io -U -r -f qcow2 ${DIR}/a.qcow2 -c \"read -P 7 0 512\"
    read 512/512 bytes at offset 0
# quit
";
    let run = qmp("20", text);
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    assert_eq!(run.out, want);
}

#[test]
fn a_step_that_goes_otherwise_names_file_and_line() {
    if missing_qemu("a_step_that_goes_otherwise_names_file_and_line") {
        return;
    }
    let cases = [
        (
            "\nbogus\n",
            "error: FILE:2: failed: The command bogus has not been found; if it must fail, put \
             expect-error before it\n",
        ),
        (
            "expect-error x\nquery-jobs",
            "error: FILE:2: expected an error with \"x\", but it succeeded\n",
        ),
        (
            "expect-error x\nbogus",
            "error: FILE:2: expected an error with \"x\", found \"The command bogus has not been \
             found\"\n",
        ),
        (
            "wait-event NEVER",
            "error: FILE:1: NEVER did not come within 1 s; the events above did\n",
        ),
        (
            "wait-job j status running",
            "error: FILE:1: there is no job \"j\"\n",
        ),
    ];
    for (text, want) in cases {
        let run = qmp("1", text);
        assert_eq!((run.code, run.err.as_str()), (1, want), "{text}");
    }
}

#[test]
fn a_persistent_bitmap_outlives_a_restart_and_not_a_kill() {
    if missing_qemu("a_persistent_bitmap_outlives_a_restart_and_not_a_kill") {
        return;
    }
    let add = "blockdev-add {\"node-name\": \"a\", \"driver\": \"qcow2\", \
               \"file\": {\"driver\": \"file\", \"filename\": \"a.qcow2\"}}\n";
    let text = format!(
        "qemu-img create -q -f qcow2 a.qcow2 1M\n{add}block-dirty-bitmap-add {{\"node\": \"a\", \
         \"name\": \"b\", \"persistent\": true}}\nrestart\n{add}bitmaps\nkill\n{add}bitmaps\n"
    );
    let run = qmp("20", &text);
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    let bitmaps: Vec<_> = run
        .out
        .lines()
        .filter(|line| line.contains(" b: "))
        .collect();
    assert_eq!(bitmaps.len(), 2, "{}", run.out);
    assert!(
        bitmaps[0].contains("persistent=true recording=true"),
        "{}",
        bitmaps[0]
    );
    assert!(bitmaps[1].contains("inconsistent=true"), "{}", bitmaps[1]);
}

#[test]
fn a_wrong_file_is_refused_before_anything_starts() {
    let run = qmp("20", "query-jobs\nwait-job j\n");
    let want = "error: FILE:2:1: expected wait-job ID FIELD VALUE\n";
    assert_eq!(
        (run.code, run.out.as_str(), run.err.as_str()),
        (2, "", want)
    );
    let run = ci(&["qmp", "nonesuch.qmp"]);
    let want = "error: nonesuch.qmp: No such file or directory (os error 2)\n";
    assert_eq!((run.code, run.err.as_str()), (2, want));
}

#[test]
fn a_missing_program_is_named_with_its_package() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("questions.qmp");
    fs::write(&file, "query-jobs\n").expect("a new file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_ci"));
    let run = finish(command.env("PATH", folder.path()).arg("qmp").arg(&file));
    let want = "error: qemu-storage-daemon was not found; install it, on Debian with: apt-get \
                install qemu-utils\n";
    assert_eq!(
        (run.code, run.out.as_str(), run.err.as_str()),
        (3, "", want)
    );
}
