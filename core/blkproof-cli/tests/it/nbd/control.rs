//! The control socket: rules, waits, losses of power, sizes.

use super::client::{Client, READ, WRITE};
use super::server::Server;

/// What `base:allocation` says.
const HOLE_AND_ZERO: u64 = 3;

#[test]
fn rules_come_and_go_and_are_counted() {
    let server = Server::start(&[]);
    let mut client = Client::open(&server, &[]);
    server.ask("fault disk0.file error errno=ENOSPC iotype=write range=4k+4k name=full");
    client.write(0, &[1; 4096]);
    assert_eq!(client.try_write(6000, &[2; 100]), 28);
    let rules = server.ask("rules");
    let told = "matched=1 fired=1 live fault disk0.file error errno=ENOSPC";
    assert!(rules[0].starts_with(told), "{rules:?}");
    assert_eq!(
        server.ask("firings"),
        ["disk0.file write 6000+100 name=full errno=ENOSPC"]
    );
    assert_eq!(server.ask("firings"), Vec::<String>::new());
    server.ask("lift full");
    client.write(6000, &[2; 100]);
    assert_eq!(
        server.tell("lift full").unwrap_err(),
        "there is no rule 'full'"
    );
    let counters = server.ask("counters");
    assert!(counters.contains(&"write 3".to_owned()), "{counters:?}");
}

#[test]
fn what_is_no_command_is_told() {
    let server = Server::start(&["--cache", "none"]);
    for (line, wanted) in [
        ("falt disk0 error errno=EIO", "did you mean `fault`?"),
        (
            "fault disk1 error errno=EIO",
            "the disk is called disk0, not disk1",
        ),
        ("fault disk0 error errno=EFOO", "column 25: found `EFOO`"),
        ("write disk0 0 512 fill=1", "this is for scenarios"),
        ("tick 5ms expect=any", "expected no `expect=`"),
        ("disk d 1M raw", "expected a command"),
        ("resume A", "no request is suspended under 'A'"),
        ("power-cut lost=all", "serve it with --cache volatile"),
        ("bitmap add disk0 b0 persistent", "nothing persists here"),
        ("bitmap clear disk0 b0", "there is no bitmap of this name"),
        ("resize disk0 17T", "it failed with ENOSPC"),
    ] {
        let error = server.tell(line).unwrap_err();
        assert!(error.contains(wanted), "{line}: {error}");
    }
    let help = server.ask("help").join("\n");
    for word in ["power-cut", "undurable", "wait-for", "quit"] {
        assert!(help.contains(word), "{help}");
    }
}

#[test]
fn a_suspended_request_waits_and_others_do_not() {
    let server = Server::start(&[]);
    let mut client = Client::open(&server, &[]);
    server.ask("fault disk0.file break event=write_aio tag=A");
    let held = client.send(WRITE, 0, 0, 4096, &[7; 4096]);
    server.ask("wait-for A");
    assert_eq!(server.ask("suspended"), ["A"]);
    assert_eq!(client.read(0, 4096), Ok(vec![0; 4096]));
    server.ask("resume A");
    let reply = client.reply(0).unwrap();
    assert_eq!((reply.cookie, reply.error), (held, 0));
    assert_eq!(client.read(0, 4096), Ok(vec![7; 4096]));
}

#[test]
fn delays_are_counted_in_virtual_time() {
    let server = Server::start(&[]);
    let mut client = Client::open(&server, &[]);
    server.ask("fault disk0.file delay for=20ms iotype=read when=nth(1)");
    let held = client.send(READ, 0, 0, 512, &[]);
    client.write(0, &[3; 512]);
    server.ask("tick 19ms");
    client.write(512, &[4; 512]);
    server.ask("tick 1ms");
    let reply = client.reply(512).unwrap();
    assert_eq!((reply.cookie, &reply.payloads[0]), (held, &vec![3; 512]));
    assert_eq!(server.ask("time"), ["20ms"]);
}

#[test]
fn a_power_cut_loses_what_was_not_flushed() {
    let server = Server::start(&[]);
    let mut client = Client::open(&server, &[]);
    client.write(0, &[1; 4096]);
    client.flush();
    client.write(4096, &[2; 4096]);
    client.write(65536, &[3; 512]);
    assert_eq!(server.ask("undurable"), ["4096+4096", "65536+512"]);
    assert_eq!(
        server.ask("pending"),
        ["3 write 4096+4096", "4 write 65536+512"]
    );
    server.ask("power-cut lost=only(1)");
    assert!(client.is_ended());
    let mut client = Client::open(&server, &[]);
    assert_eq!(client.read(0, 4096), Ok(vec![1; 4096]));
    assert_eq!(client.read(4096, 4096), Ok(vec![0; 4096]));
    assert_eq!(client.read(65536, 512), Ok(vec![3; 512]));
    assert_eq!(server.ask("undurable"), Vec::<String>::new());
    // What is written through is durable at once.
    let cookie = client.send(WRITE, 1, 0, 3, b"fua");
    assert_eq!(client.reply(0).unwrap().cookie, cookie);
    server.ask("power-cut lost=all");
    assert_eq!(
        Client::open(&server, &[]).read(0, 4),
        Ok(b"fua\x01".to_vec())
    );
}

#[test]
fn the_power_can_go_in_the_midst_of_an_operation() {
    for (command, left) in [
        ("power-cut lost=all at=2", [0, 0]),
        ("power-cut lost=none at=2", [1, 2]),
        ("kill at=2", [1, 2]),
        ("power-cut lost=from(2) at=2", [1, 0]),
    ] {
        let server = Server::start(&["--bitmap", "b0"]);
        let mut client = Client::open(&server, &[]);
        let mut other = Client::open(&server, &[]);
        server.ask(command);
        client.write(0, &[1]);
        client.send(WRITE, 0, 1, 1, &[2]);
        assert!(
            client.reply(0).is_err(),
            "{command}: nobody hears how it ended"
        );
        assert!(other.is_ended(), "{command}");
        let mut client = Client::open(&server, &["qemu:dirty-bitmap:b0"]);
        assert_eq!(client.read(0, 2), Ok(left.to_vec()), "{command}");
        assert_eq!(client.status(0, 1 << 17), [[(65536, 1), (65536, 0)]]);
    }
}

#[test]
fn sizes_change_by_command_and_by_request() {
    let server = Server::start(&["--bitmap", "b0"]);
    let mut client = Client::open(&server, &["base:allocation"]);
    assert_eq!(client.resize(2 << 20), 0);
    client.write((2 << 20) - 1, &[9]);
    assert_eq!(client.resize(4096), 0);
    // What was there once has no space any more.
    assert_eq!(client.read(4096, 1), Err(28));
    assert_eq!(client.try_write(4095, &[1, 1]), 28);
    assert_eq!(client.resize(1 << 45), 28);
    server.ask("resize disk0 16T");
    assert_eq!(server.ask("size"), [(1_u64 << 44).to_string()]);
    client.write((1 << 44) - 512, &[5; 512]);
    assert_eq!(client.status(4096, 1 << 20), [[(1 << 20, HOLE_AND_ZERO)]]);
    // All that grew is dirty.
    let bitmaps = server.ask("bitmaps");
    assert_eq!(bitmaps, [format!("b0 65536 {} enabled", 1_u64 << 44)]);
}

#[test]
fn bitmaps_are_made_and_cleared() {
    let server = Server::start(&[]);
    server.ask("bitmap add disk0 b0 granularity=4k");
    let mut client = Client::open(&server, &["base:allocation", "qemu:dirty-bitmap:b0"]);
    client.write(5000, &[1; 10]);
    let allocation = vec![(4096, HOLE_AND_ZERO), (4096, 0), (8192, HOLE_AND_ZERO)];
    let dirty = vec![(4096, 0), (4096, 1), (8192, 0)];
    assert_eq!(client.status(0, 16384), [allocation, dirty]);
    server.ask("bitmap clear disk0 b0");
    assert_eq!(client.status(0, 16384)[1], [(16384, 0)]);
    server.ask("bitmap disable disk0 b0");
    client.write(0, &[1]);
    assert_eq!(client.status(0, 16384)[1], [(16384, 0)]);
    server.ask("bitmap remove disk0 b0");
    let cookie = client.send(super::client::STATUS, 0, 0, 512, &[]);
    let reply = client.reply(0).unwrap();
    assert_eq!((reply.cookie, reply.error), (cookie, 22));
}
