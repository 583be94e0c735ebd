//! Real clients: QEMU's tools, those of libnbd, and libnbd itself.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use super::server::Server;
use crate::program::{Folder, Ran};

/// Tells whether these programs are here. Where one is not, the test passes and says so; with
/// `BLKPROOF_REQUIRE_QEMU=1` it fails.
pub(crate) fn have(programs: &[&str]) -> bool {
    let missing = programs.iter().find(|program| {
        let found = Command::new(program)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        !found.is_ok_and(|status| status.success())
    });
    skip(missing.copied())
}

fn skip(missing: Option<&str>) -> bool {
    let Some(missing) = missing else {
        return true;
    };
    let required = std::env::var_os("BLKPROOF_REQUIRE_QEMU").is_some_and(|value| value == "1");
    assert!(
        !required,
        "{missing} was not found, and BLKPROOF_REQUIRE_QEMU=1 wants it"
    );
    // The harness keeps what is printed by tests that pass to itself.
    let _ = writeln!(std::io::stderr(), "skipped: {missing} was not found");
    false
}

/// The Python that has libnbd: not always the first one.
fn python() -> Option<&'static str> {
    let python = ["python3", "/usr/bin/python3"].into_iter().find(|python| {
        let mut import = Command::new(python);
        import.args(["-c", "import nbd"]).stderr(Stdio::null());
        import.status().is_ok_and(|status| status.success())
    });
    skip(python.is_none().then_some("python3-libnbd"));
    python
}

/// Runs a program in the server's folder.
fn run(server: &Server, program: &str, args: &[&str]) -> Ran {
    let mut command = Command::new(program);
    command
        .args(args)
        .current_dir(server.path())
        .stdin(Stdio::null());
    Ran::of(&command.output().unwrap())
}

/// Runs commands of `qemu-io`.
fn qemu_io(server: &Server, commands: &[&str]) -> Ran {
    let uri = server.uri();
    let mut args = vec!["-f", "raw"];
    args.extend(commands.iter().flat_map(|command| ["-c", command]));
    args.push(&uri);
    run(server, "qemu-io", &args)
}

#[test]
fn qemu_io_reads_what_it_writes() {
    if !have(&["qemu-io"]) {
        return;
    }
    let server = Server::start(&[]);
    let ran = qemu_io(
        &server,
        &[
            "write -P 0x41 0 64k",
            "write -z 64k 64k",
            "write -z -u 128k 64k",
            "write -f -P 0x42 256k 4k",
            "discard 0 4k",
            "flush",
            "read -P 0 0 4k",
            "read -P 0x41 4k 60k",
            "read -P 0x42 256k 4k",
            "length",
        ],
    )
    .exits(0);
    assert!(!ran.out.contains("verification failed"), "{}", ran.out);
    assert!(ran.out.ends_with("1 MiB\n"), "{}", ran.out);
    let counters = server.ask("counters");
    for wanted in ["write 2", "write-zeroes 2", "discard 1"] {
        assert!(counters.contains(&wanted.to_owned()), "{counters:?}");
    }
    // It flushes when it closes.
    assert_eq!(server.ask("undurable"), Vec::<String>::new());
}

#[test]
fn errors_of_rules_reach_qemu_io_as_they_are() {
    if !have(&["qemu-io"]) {
        return;
    }
    let server = Server::start(&[]);
    for (errno, text) in [
        ("EIO", "Input/output error"),
        ("ENOSPC", "No space left on device"),
        ("EPERM", "Operation not permitted"),
        ("ENOMEM", "Cannot allocate memory"),
    ] {
        for (command, kind) in [
            ("write 0 64k", "write"),
            ("read 0 64k", "read"),
            ("write -z 0 64k", "write-zeroes"),
            ("discard 0 64k", "discard"),
        ] {
            server.ask(&format!(
                "fault disk0.file error errno={errno} iotype={kind} name=x"
            ));
            let ran = qemu_io(&server, &[command]);
            let all = format!("{}{}", ran.out, ran.err);
            assert!(all.contains(text), "{command} {errno}: {all}");
            server.ask("lift x");
        }
    }
}

#[test]
fn qemu_img_converts_and_compares() {
    if !have(&["qemu-img", "qemu-io"]) {
        return;
    }
    let server = Server::start(&[]);
    let uri = server.uri();
    qemu_io(&server, &["write -P 7 100k 200k", "write -P 8 1020k 4k"]).exits(0);
    run(
        &server,
        "qemu-img",
        &["convert", "-f", "raw", "-O", "qcow2", &uri, "x.qcow2"],
    )
    .exits(0);
    run(
        &server,
        "qemu-img",
        &["compare", "-f", "raw", "-F", "qcow2", &uri, "x.qcow2"],
    )
    .exits(0);
    let other = Server::start(&[]);
    let target = other.uri();
    let args = [
        "convert",
        "-n",
        "-W",
        "-t",
        "writeback",
        "-f",
        "qcow2",
        "-O",
        "raw",
        "x.qcow2",
    ];
    run(&server, "qemu-img", &[&args[..], &[&target]].concat()).exits(0);
    run(
        &server,
        "qemu-img",
        &["compare", "-f", "raw", "-F", "raw", &uri, &target],
    )
    .exits(0);
    qemu_io(&other, &["write -P 9 1020k 1k"]).exits(0);
    run(
        &server,
        "qemu-img",
        &["compare", "-f", "raw", "-F", "raw", &uri, &target],
    )
    .exits(1);
    let info = run(&server, "qemu-img", &["info", "--output=json", &uri]).exits(0);
    let info: serde_json::Value = serde_json::from_str(&info.out).unwrap();
    assert_eq!(info["virtual-size"], 1 << 20);
}

#[test]
fn qemu_img_and_nbdinfo_map_what_is_allocated_and_what_is_dirty() {
    if !have(&["qemu-img", "qemu-io", "nbdinfo"]) {
        return;
    }
    let server = Server::start(&["--bitmap", "b0:32k"]);
    let uri = server.uri();
    qemu_io(&server, &["write -P 7 64k 64k", "write -z 256k 64k"]).exits(0);
    let map = run(&server, "nbdinfo", &["--map", &uri]).exits(0).out;
    let map: Vec<Vec<&str>> = map
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let want = [
        ["0", "65536", "3", "hole,zero"],
        ["65536", "65536", "0", "data"],
        ["131072", "131072", "3", "hole,zero"],
        ["262144", "65536", "2", "zero"],
        ["327680", "720896", "3", "hole,zero"],
    ];
    assert_eq!(map, want);
    let dirty = run(
        &server,
        "nbdinfo",
        &["--map=qemu:dirty-bitmap:b0", "--json", &uri],
    )
    .exits(0);
    let dirty: serde_json::Value = serde_json::from_str(&dirty.out).unwrap();
    let starts: Vec<_> = dirty
        .as_array()
        .unwrap()
        .iter()
        .map(|run| &run["offset"])
        .collect();
    assert_eq!(starts, [0, 65536, 131072, 262144, 327680], "{dirty}");
    // QEMU reads our bitmap as it reads its own.
    let options = format!(
        "driver=nbd,server.type=unix,server.path={},export=disk0,\
         x-dirty-bitmap=qemu:dirty-bitmap:b0",
        server.socket().display()
    );
    let map = run(
        &server,
        "qemu-img",
        &["map", "--output=json", "--image-opts", &options],
    )
    .exits(0);
    let map: serde_json::Value = serde_json::from_str(&map.out).unwrap();
    let dirty: Vec<_> = map
        .as_array()
        .unwrap()
        .iter()
        .filter(|run| run["data"] == false)
        .collect();
    let spans: Vec<_> = dirty
        .iter()
        .map(|run| (&run["start"], &run["length"]))
        .collect();
    assert_eq!(spans.len(), 2, "{map}");
    assert_eq!(
        (spans[0].0, spans[0].1),
        (&65536.into(), &65536.into()),
        "{map}"
    );
}

#[test]
fn nbdinfo_lists_the_export_and_its_contexts() {
    if !have(&["nbdinfo"]) {
        return;
    }
    let server = Server::start_with_size(Folder::new(), "16T", &["--bitmap", "b0"]);
    let all = format!("nbd+unix:///?socket={}", server.socket().display());
    let list = run(&server, "nbdinfo", &["--list", "--json", &all]).exits(0);
    let list: serde_json::Value = serde_json::from_str(&list.out).unwrap();
    assert_eq!(list["structured"], true);
    let export = &list["exports"][0];
    assert_eq!(export["export-name"], "disk0");
    assert_eq!(export["export-size"], 1_u64 << 44);
    assert_eq!(
        export["contexts"],
        serde_json::json!(["base:allocation", "qemu:dirty-bitmap:b0"])
    );
    for can in [
        "cache",
        "df",
        "fast_zero",
        "flush",
        "fua",
        "multi_conn",
        "trim",
        "zero",
    ] {
        assert_eq!(export[format!("can_{can}")], true, "{can}");
    }
    run(&server, "nbdinfo", &["--can", "multi-conn", &server.uri()]).exits(0);
}

#[test]
fn nbdcopy_copies_over_many_connections() {
    if !have(&["nbdcopy"]) {
        return;
    }
    let server = Server::start_with_size(Folder::new(), "32M", &[]);
    let bytes: Vec<u8> = (0..32_u32 << 20)
        .map(|at| (at >> 10) as u8 * u8::from(at >> 20 & 3 != 1))
        .collect();
    fs::write(server.path().join("from"), &bytes).unwrap();
    let uri = server.uri();
    run(&server, "nbdcopy", &["--flush", "from", &uri]).exits(0);
    assert_eq!(server.ask("undurable"), Vec::<String>::new());
    run(&server, "nbdcopy", &["--connections=4", &uri, "to"]).exits(0);
    assert!(
        fs::read(server.path().join("to")).unwrap() == bytes,
        "another file came back"
    );
    server.ask("fault disk0.file error errno=EIO iotype=read when=nth(20)");
    let ran = run(&server, "nbdcopy", &[&uri, "to"]);
    assert_ne!(ran.code, 0);
    assert!(ran.err.contains("Input/output error"), "{}", ran.err);
}

#[test]
fn libnbd_pipelines_and_steers_the_server() {
    let Some(python) = python() else {
        return;
    };
    let server = Server::start(&["--bitmap", "b0"]);
    server.folder().file("steer.py", include_str!("steer.py"));
    let ran = run(&server, python, &["steer.py", &server.uri(), "d.ctl"]).exits(0);
    assert_eq!(
        ran.out,
        "pipelined\nstructured\nbroken\nsuspended\ncut\nall held\n"
    );
}
