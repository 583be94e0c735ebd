//! Clients that misbehave, and those beside them.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use super::client::{Client, FLUSH, GO, READ, WRITE};
use super::server::Server;
use crate::program::Folder;

/// How errors of options begin.
const ERROR: u32 = 1 << 31;

#[test]
fn garbage_ends_its_own_connection_only() {
    let server = Server::start(&[]);
    let mut good = Client::open(&server, &[]);
    good.write(0, b"here");
    for garbage in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0xff; 4096],
        &[0; 64],
        b"\0\0\0\x03IHAVEXXX\0\0\0\x07\0\0\0\0",
    ] {
        let mut stream = UnixStream::connect(server.socket()).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        let _ = stream.write_all(garbage);
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert_eq!(rest.len(), 18, "a greeting and nothing else");
    }
    let mut client = Client::open(&server, &[]);
    client.stream.write_all(&[0x13; 28]).unwrap();
    assert!(client.is_ended());
    assert_eq!(good.read(0, 4), Ok(b"here".to_vec()));
    server.wait_for_connections(1);
}

#[test]
fn half_a_handshake_is_dropped_in_time() {
    let server = Server::start(&["--handshake-timeout", "1"]);
    let mut silent = UnixStream::connect(server.socket()).unwrap();
    let mut half = Client::connect(&server);
    half.stream.write_all(b"IHAVE").unwrap();
    let start = Instant::now();
    // One that goes on for ever without an end is no better.
    let mut endless = Client::connect(&server);
    while endless
        .stream
        .write_all(b"IHAVEOPT\0\0\0\x63\0\0\0\0")
        .is_ok()
    {
        assert!(start.elapsed() < Duration::from_secs(60));
        thread::sleep(Duration::from_millis(20));
    }
    assert!(half.is_ended());
    let mut rest = Vec::new();
    silent.read_to_end(&mut rest).unwrap();
    assert_eq!(rest.len(), 18);
    server.wait_for_connections(0);
}

#[test]
fn options_that_are_too_long_or_broken_are_refused_by_name() {
    let server = Server::start(&[]);
    let mut client = Client::connect(&server);
    let long = vec![b'x'; 70_000];
    let replies = client.option(99, &long);
    assert_eq!(replies, [(ERROR + 9, b"the option is too long".to_vec())]);
    assert_eq!(client.option(99, b"what").pop().unwrap().0, ERROR + 1);
    assert_eq!(client.option(5, b"").pop().unwrap().0, ERROR + 2);
    assert_eq!(client.option(GO, &[0xff; 8]).pop().unwrap().0, ERROR + 3);
    let unknown = client.option(GO, b"\0\0\0\x03abc\0\0");
    assert_eq!(
        unknown,
        [(ERROR + 6, b"there is no export of this name".to_vec())]
    );
    // Contexts want structured replies first.
    assert_eq!(client.option(10, &[0; 8]).pop().unwrap().0, ERROR + 3);
    assert_eq!(client.go().0, 1);
    assert_eq!(client.read(0, 1), Ok(vec![0]));
}

#[test]
fn requests_that_cannot_be_are_refused_and_the_connection_goes_on() {
    let server = Server::start(&[]);
    let mut client = Client::open(&server, &[]);
    let invalid = [
        (READ, 0, (1 << 20) - 1, 2, 22),
        (READ, 0, u64::MAX, u32::MAX, 22),
        (READ, 0, 0, u32::MAX, 22),
        (READ, 2, 0, 1, 22),
        (FLUSH, 0, 1, 0, 22),
        (6, 0, 1 << 20, 1, 28),
        (7, 0, 0, 512, 22),
        (99, 0, 0, 0, 22),
    ];
    for (command, flags, offset, len, error) in invalid {
        let cookie = client.send(command, flags, offset, len, &[]);
        let reply = client.reply(0).unwrap();
        assert_eq!(
            (reply.cookie, reply.error),
            (cookie, error),
            "{command} {offset} {len}"
        );
    }
    assert_eq!(client.try_write((1 << 20) - 1, b"ab"), 28);
    client.write((1 << 20) - 1, b"a");
}

#[cfg(target_os = "linux")]
#[test]
fn a_length_that_lies_takes_no_memory() {
    let server = Server::start(&[]);
    let mut clients: Vec<_> = (0..8).map(|_| Client::open(&server, &[])).collect();
    let before = server.peak_memory();
    for client in &mut clients {
        // 32 MiB are promised, and a kilobyte comes.
        client.send(WRITE, 0, 0, 32 << 20, &[1; 1024]);
    }
    // What no request may have is skipped as it comes.
    let mut long = Client::open(&server, &[]);
    let cookie = long.send(WRITE, 0, 0, 48 << 20, &[]);
    for _ in 0..48 {
        long.stream.write_all(&vec![1; 1 << 20]).unwrap();
    }
    let reply = long.reply(0).unwrap();
    assert_eq!((reply.cookie, reply.error), (cookie, 28));
    assert_eq!(long.read(0, 1), Ok(vec![0]));
    let grown = server.peak_memory() - before;
    assert!(grown < 16 << 10, "{grown} KiB");
}

#[test]
fn clients_that_vanish_leave_no_trace_but_what_was_done() {
    let server = Server::start(&[]);
    let mut good = Client::open(&server, &[]);
    // In the midst of a request's head, and of its data.
    let mut half = Client::open(&server, &[]);
    half.stream.write_all(&[0x25, 0x60]).unwrap();
    let mut torn = Client::open(&server, &[]);
    torn.send(WRITE, 0, 0, 4096, &[9; 100]);
    // Without waiting for what it asked for.
    let mut deaf = Client::open(&server, &[]);
    for _ in 0..100 {
        deaf.send(READ, 0, 0, 1 << 20, &[]);
    }
    drop((half, torn, deaf));
    server.wait_for_connections(1);
    assert_eq!(good.read(0, 4096), Ok(vec![0; 4096]));
    // While its request is suspended: it is carried out when it goes on.
    server.ask("fault disk0.file break event=write_aio tag=A");
    let mut gone = Client::open(&server, &[]);
    gone.send(WRITE, 0, 0, 4, b"late");
    server.ask("wait-for A");
    drop(gone);
    good.write(8, b"now");
    server.ask("resume A");
    server.wait_for_connections(1);
    assert_eq!(good.read(0, 11), Ok(b"late\0\0\0\0now".to_vec()));
}

#[test]
fn too_many_clients_are_refused_by_name() {
    let server = Server::start(&["--connections", "2"]);
    let mut served: Vec<_> = (0..2).map(|_| Client::open(&server, &[])).collect();
    let mut refused: Vec<_> = (0..2).map(|_| Client::connect(&server)).collect();
    for client in &mut refused {
        let want = (ERROR + 2, "too many clients are connected".to_owned());
        assert_eq!(client.go(), want);
    }
    // Beyond these, nobody is listened to.
    let mut stream = UnixStream::connect(server.socket()).unwrap();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    assert_eq!(rest, b"");
    served[0].write(0, b"x");
    served.pop();
    drop(refused);
    server.wait_for_connections(1);
    Client::open(&server, &[]).write(0, b"y");
}

#[test]
fn requests_that_wait_are_bounded() {
    let server = Server::start(&[]);
    server.ask("fault disk0.file delay for=1ms iotype=write");
    let mut client = Client::open(&server, &[]);
    let mut sender = client.stream.try_clone().unwrap();
    let count = 1000;
    let sending = thread::spawn(move || {
        for number in 0..count {
            let mut bytes = 0x2560_9513_u32.to_be_bytes().to_vec();
            bytes.extend([0, 0, 0, 1]);
            bytes.extend(u64::to_be_bytes(number));
            bytes.extend(u64::to_be_bytes(512 * number));
            bytes.extend(512_u32.to_be_bytes());
            bytes.extend([1; 512]);
            sender.write_all(&bytes).unwrap();
        }
    });
    let mut seen = vec![false; count as usize];
    let deadline = Instant::now() + Duration::from_secs(120);
    client
        .stream
        .set_read_timeout(Some(Duration::from_millis(20)))
        .unwrap();
    while seen.contains(&false) {
        assert!(Instant::now() < deadline);
        let held = server.ask("pending").len();
        assert!(held <= 1000);
        server.ask("tick 1ms");
        while let Ok(reply) = client.reply(0) {
            assert_eq!(reply.error, 0);
            assert!(!core::mem::replace(&mut seen[reply.cookie as usize], true));
        }
    }
    sending.join().unwrap();
}

#[test]
fn two_writers_do_not_mix_within_a_request() {
    let server = Server::start(&[]);
    thread::scope(|scope| {
        for byte in [1, 2] {
            let mut client = Client::open(&server, &[]);
            scope.spawn(move || {
                for _ in 0..200 {
                    client.write(0, &[byte; 65536]);
                }
            });
        }
        let mut reader = Client::open(&server, &[]);
        scope.spawn(move || {
            for _ in 0..200 {
                let bytes = reader.read(0, 65536).unwrap();
                assert!(
                    bytes.iter().all(|byte| *byte == bytes[0]),
                    "two writes in one"
                );
            }
        });
    });
}

#[test]
fn a_read_only_disk_is_not_written() {
    let server = Server::start_with_size(Folder::new(), "1M", &["--read-only"]);
    let mut client = Client::open(&server, &[]);
    assert_eq!(client.try_write(0, b"x"), 1);
    assert_eq!(client.resize(0), 1);
    client.flush();
    assert_eq!(client.read(0, 1), Ok(vec![0]));
}
