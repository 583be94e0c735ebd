//! `serve nbd`: its arguments, its control socket, its end; how it treats clients that misbehave.

#![expect(
    clippy::cast_possible_truncation,
    reason = "lengths of tests are short"
)]

mod bad;
mod client;
mod control;
mod server;
pub(crate) mod tools;

use std::os::unix::net::UnixListener;

use crate::program::Folder;
use client::Client;
use server::Server;

#[test]
fn it_says_where_it_is_and_ends_when_told() {
    let mut server = Server::start(&["--bitmap", "b0:4k", "--tcp", "127.0.0.1:0"]);
    let out = server.said();
    let first = out.lines().next().unwrap();
    assert!(
        first.starts_with(
            "serving disk0, 1.00 MiB: nbd+unix:///disk0?socket=d.sock nbd://127.0.0.1:"
        ),
        "{out}"
    );
    assert!(out.lines().any(|line| line == "commands: d.ctl"), "{out}");
    assert_eq!(server.ask("bitmaps"), ["b0 4096 0 enabled"]);
    server.ask("quit");
    assert_eq!(server.wait(), 0);
    assert_eq!(server.sockets(), Vec::<String>::new());
}

#[test]
fn programs_read_where_it_is() {
    let server = Server::start(&["--json"]);
    let record: serde_json::Value = serde_json::from_str(&server.said()).unwrap();
    assert_eq!(record["type"], "serving");
    assert_eq!(record["name"], "disk0");
    assert_eq!(record["size"], 1 << 20);
    assert_eq!(record["uris"][0], "nbd+unix:///disk0?socket=d.sock");
    assert_eq!(record["control"], "d.ctl");
}

#[test]
fn a_signal_ends_it_without_a_trace() {
    let mut server = Server::start(&[]);
    let mut client = Client::open(&server, &[]);
    client.write(0, b"some bytes");
    assert_eq!(server.sockets(), ["d.ctl", "d.sock"]);
    server.signal("TERM");
    assert_eq!(server.wait(), 130);
    assert_eq!(server.sockets(), Vec::<String>::new());
}

#[test]
fn sockets_that_nobody_listens_on_are_replaced_and_others_are_not() {
    let folder = Folder::new();
    let path = folder.path().join("d.sock");
    let listening = UnixListener::bind(&path).unwrap();
    let args = ["serve", "nbd", "--size", "1M", "--socket", "d.sock"];
    let ran = folder.run(&args).exits(3);
    assert!(ran.err.contains("cannot listen on d.sock"), "{}", ran.err);
    assert!(ran.err.contains("hint: end the program"), "{}", ran.err);
    drop(listening);
    let mut server = Server::start_in(folder, &[]);
    server.ask("quit");
    assert_eq!(server.wait(), 0);
    let folder = Folder::new();
    folder.file("d.sock", "not a socket");
    folder.run(&args).exits(3);
    assert_eq!(folder.text("d.sock"), "not a socket");
}

/// Files of rules, none of which is in order.
fn rule_files(folder: &Folder) {
    folder.file(
        "rules.blk",
        "blkproof 1\nfault disk0.file error errno=EIO\nwrite disk0 0 512 fill=1\n",
    );
    folder.file(
        "other.blk",
        "blkproof 1\nfault disk1.file error errno=EIO\n",
    );
    folder.file(
        "broken.blk",
        "blkproof 1\nfault disk0.file errno errno=EIO\n",
    );
    folder.file("broken.ini", "[inject-error]\nevent = \"nothing\"\n");
    folder.file("bare.ini", "# no group\nevent = \"none\"\n");
    folder.file("tight.ini", "event=\"none\"\n");
    folder.file("indented.ini", " [inject-error]\nevent = \"none\"\n");
}

#[test]
fn arguments_that_cannot_be_are_told() {
    let folder = Folder::new();
    let socket = ["--socket", "d.sock"];
    for (args, wanted) in [
        (&["--size", "1M"][..], "--socket <PATH>"),
        (
            &["--size", "17T", "--socket", "d.sock"],
            "--size: expected 16T at most",
        ),
        (
            &["--size", "big", "--socket", "d.sock"],
            "expected a size such as 64M or 16T",
        ),
        (
            &["--size", "1M", "--tcp", "0.0.0.0:1"],
            "expected a loopback address",
        ),
        (
            &["--size", "1M", "--tcp", "here"],
            "expected an address and a port",
        ),
        (
            &["--size", "1M", "--bitmap", "b0:5"],
            "--bitmap b0:5: expected a power of two",
        ),
        (
            &["--size", "1M", "--name", "a b"],
            "--name: expected a name",
        ),
        (
            &["--size", "1M", "--connections", "0"],
            "0 is not in 1..=1024",
        ),
    ] {
        let mut all = vec!["serve", "nbd"];
        all.extend(args);
        if !args.contains(&"--socket") && !args.contains(&"--tcp") && args.len() > 2 {
            all.extend(socket);
        }
        let ran = folder.run(&all).exits(2);
        assert!(ran.err.contains(wanted), "{args:?}\n{}", ran.err);
    }
}

#[test]
fn files_of_rules_are_told_where_they_are_wrong() {
    let folder = Folder::new();
    rule_files(&folder);
    for (file, wanted) in [
        ("rules.blk", "rules.blk:3: expected a `fault` line"),
        ("other.blk", "a rule is for disk1.file"),
        ("broken.blk", "broken.blk:2"),
        ("broken.ini", "broken.ini: line 2, column 10: expected"),
        (
            "bare.ini",
            "bare.ini: line 2, column 1: a value stands before the first group",
        ),
        (
            "tight.ini",
            "tight.ini: line 1, column 1: expected a key, a blank, and '='",
        ),
        (
            "indented.ini",
            "indented.ini: line 1, column 2: expected a group in square brackets, from the first",
        ),
        ("missing", "cannot read missing"),
    ] {
        let args = ["serve", "nbd", "--size", "1M", "--socket", "d.sock"];
        let args: Vec<_> = args.into_iter().chain(["--rules", file]).collect();
        let ran = folder.run(&args).exits(2);
        assert!(ran.err.contains(wanted), "{file}\n{}", ran.err);
    }
}

#[test]
fn both_kinds_of_rule_files_are_read() {
    let folder = Folder::new();
    folder.file(
        "rules.ini",
        "# once\n[inject-error]\nevent = \"write_aio\"\nerrno = \"28\"\nonce = \"on\"\n",
    );
    let server = Server::start_in(folder, &["--rules", "rules.ini"]);
    let mut client = Client::open(&server, &[]);
    assert_eq!(client.try_write(0, b"x"), 28);
    assert_eq!(client.try_write(0, b"x"), 0);
    let folder = Folder::new();
    folder.file(
        "rules.blk",
        "blkproof 1\nfault disk0 error errno=EIO iotype=read when=nth(2)\n",
    );
    let server = Server::start_in(folder, &["--rules", "rules.blk"]);
    let mut client = Client::open(&server, &[]);
    assert_eq!(client.read(0, 8), Ok(vec![0; 8]));
    assert_eq!(client.read(0, 8), Err(5));
    assert_eq!(client.read(0, 8), Ok(vec![0; 8]));
}
