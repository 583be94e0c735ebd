use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::{Map, json};

use super::Monitor;

/// A monitor whose other end has already said everything that it will ever say.
fn monitor(said: &str) -> (anyhow::Result<Monitor>, UnixStream) {
    let (ours, mut theirs) = UnixStream::pair().expect("a pair of sockets");
    theirs
        .write_all(said.as_bytes())
        .expect("room for a few lines");
    (Monitor::negotiate(ours, Duration::from_millis(50)), theirs)
}

const START: &str = "{\"QMP\": {}}\r\n{\"return\": {}}\r\n";

#[test]
fn events_before_a_reply_are_kept_in_order() {
    let said = format!(
        "{START}{}\r\n{}\r\n{}\r\n{}\r\n",
        json!({"event": "A", "data": {"id": "j"}, "timestamp": {"seconds": 1}}),
        json!({"return": [1]}),
        json!({"event": "B", "timestamp": {"seconds": 2}}),
        json!({"event": "C"}),
    );
    let (monitor, _theirs) = monitor(&said);
    let mut monitor = monitor.expect("a good negotiation");
    let reply = monitor.execute("x", &Map::new()).expect("a reply");
    assert_eq!(reply, Ok(json!([1])));
    let events = monitor
        .events_until(|event| event.name == "B")
        .expect("a live monitor");
    let names: Vec<_> = events
        .expect("B came")
        .into_iter()
        .map(|event| event.name)
        .collect();
    assert_eq!(names, ["A", "B"]);
    let missing = monitor
        .events_until(|event| event.name == "D")
        .expect("a live monitor");
    assert_eq!(missing, None);
    assert_eq!(
        monitor.take_events().len(),
        1,
        "C arrived while D was waited for"
    );
}

#[test]
fn an_error_reply_is_its_description() {
    let error = json!({"error": {"class": "GenericError", "desc": "no such thing"}});
    let (monitor, _theirs) = monitor(&format!("{START}{error}\n"));
    let reply = monitor
        .expect("a good negotiation")
        .execute("x", &Map::new());
    assert_eq!(reply.expect("a reply"), Err("no such thing".to_owned()));
}

#[test]
fn silence_is_an_error_and_not_a_hang() {
    let (first, _theirs) = monitor("");
    assert_eq!(
        first.expect_err("no greeting").to_string(),
        "no QMP greeting came"
    );
    let (second, _theirs) = monitor(START);
    let error = second
        .expect("a good negotiation")
        .execute("x", &Map::new());
    assert_eq!(
        error.expect_err("no reply").to_string(),
        "no reply to x within 0 s"
    );
}

#[test]
fn a_closed_monitor_is_told_apart_from_a_silent_one() {
    let (monitor, theirs) = monitor(START);
    drop(theirs);
    let error = monitor.expect("a good negotiation").events_until(|_| false);
    let message = error.expect_err("the other end is gone").to_string();
    assert!(message.contains("closed its monitor"), "{message}");
}
