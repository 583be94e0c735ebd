//! What is printed: the file's own lines, and below each, indented, what QEMU said.
//!
//! Whatever differs from run to run without meaning anything is evened out here: time, the
//! folder's path, numbers in generated node names, and the pause and resume that a drain causes.

use std::io::{self, Write};

use serde_json::{Map, Value};

use super::monitor::{Event, Reply};

/// The printer of one run.
pub(super) struct Transcript<'a> {
    pub(super) out: &'a mut dyn Write,
    /// The temporary folder, which no line may show.
    pub(super) folder: String,
    /// Whether to print the flicker of a drain.
    pub(super) drains: bool,
}

impl Transcript<'_> {
    /// A line of the file, as it stands there.
    pub(super) fn source(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{text}")
    }

    /// One or more lines of an answer.
    pub(super) fn answer(&mut self, text: &str) -> io::Result<()> {
        let text = text.replace(&self.folder, "${DIR}");
        let lines = text
            .lines()
            .map(str::trim_end)
            .filter(|line| !line.is_empty());
        lines
            .map(even_names)
            .try_for_each(|line| writeln!(self.out, "    {line}"))
    }

    pub(super) fn reply(&mut self, reply: &Reply) -> io::Result<()> {
        match reply {
            Ok(Value::Object(fields)) if fields.is_empty() => self.answer("-> done"),
            Ok(Value::Array(items)) if !items.is_empty() && items.iter().all(Value::is_object) => {
                items
                    .iter()
                    .try_for_each(|item| self.answer(&format!("-> {item}")))
            }
            Ok(value) => self.answer(&format!("-> {value}")),
            Err(desc) => self.answer(&format!("-> refused: {desc}")),
        }
    }

    pub(super) fn events(&mut self, events: &[Event]) -> io::Result<()> {
        let shown = if self.drains {
            events.to_vec()
        } else {
            without_drains(events)
        };
        shown
            .iter()
            .try_for_each(|event| self.answer(&format!("* {}{}", event.name, fields(&event.data))))
    }

    /// The output of qemu-io without the speed it reached.
    pub(super) fn program(&mut self, output: &str) -> io::Result<()> {
        let lines = output.lines().filter(|line| !is_speed(line));
        self.answer(&lines.collect::<Vec<_>>().join("\n"))
    }
}

/// ` name=value` for each field; strings without quotes where that cannot mislead.
pub(super) fn fields(data: &Map<String, Value>) -> String {
    let show = |value: &Value| match value.as_str() {
        Some(text) if !text.is_empty() && !text.contains([' ', '"', '=']) => text.to_owned(),
        _ => value.to_string(),
    };
    data.iter()
        .map(|(name, value)| format!(" {name}={}", show(value)))
        .collect()
}

/// Drops each `paused` that the same job's next event, a `running`, follows at once.
fn without_drains(events: &[Event]) -> Vec<Event> {
    let mut kept: Vec<Event> = Vec::new();
    for event in events {
        let Some((id, "running")) = status_change(event) else {
            kept.push(event.clone());
            continue;
        };
        let last = kept.iter().rposition(|event| concerns(event, id));
        match last {
            Some(index) if status_change(&kept[index]) == Some((id, "paused")) => {
                kept.remove(index);
            }
            _ => kept.push(event.clone()),
        }
    }
    kept
}

/// The job's id and new status, if that is what the event tells.
fn status_change(event: &Event) -> Option<(&str, &str)> {
    let (id, status) = (
        event.data.get("id")?.as_str()?,
        event.data.get("status")?.as_str()?,
    );
    (event.name == "JOB_STATUS_CHANGE").then_some((id, status))
}

fn concerns(event: &Event, job: &str) -> bool {
    ["id", "device"]
        .iter()
        .any(|&key| event.data.get(key).is_some_and(|value| value == job))
}

/// Like `512 bytes, 1 ops; 00.00 sec (123 KiB/sec and 45 ops/sec)`.
fn is_speed(line: &str) -> bool {
    line.contains(" ops; ") && line.contains(" sec ")
}

/// `#block123` and the like become `#block`: the number is only how many nodes came before.
fn even_names(line: &str) -> String {
    let mut parts = line.split("#block");
    let mut even = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        even.push_str("#block");
        even.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    even
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Event, even_names, fields, is_speed, without_drains};

    fn status(id: &str, status: &str) -> Event {
        let data = json!({"id": id, "status": status})
            .as_object()
            .unwrap()
            .clone();
        Event {
            name: "JOB_STATUS_CHANGE".to_owned(),
            data,
        }
    }

    #[test]
    fn the_flicker_of_a_drain_goes_and_a_real_pause_stays() {
        let events = [
            status("a", "created"),
            status("a", "running"),
            status("a", "paused"),
            status("b", "paused"),
            status("a", "running"),
            status("b", "running"),
            status("b", "paused"),
        ];
        let want = [
            status("a", "created"),
            status("a", "running"),
            status("b", "paused"),
        ];
        assert_eq!(without_drains(&events), want);
        let error = Event {
            name: "BLOCK_JOB_ERROR".to_owned(),
            data: json!({"device": "a"}).as_object().unwrap().clone(),
        };
        let stopped = [status("a", "paused"), error, status("a", "running")];
        assert_eq!(
            without_drains(&stopped),
            stopped,
            "an event lies between the two"
        );
    }

    #[test]
    fn generated_names_lose_their_number() {
        let line = "Node '#block12' is unshared by '#block3456': 7";
        assert_eq!(even_names(line), "Node '#block' is unshared by '#block': 7");
        assert_eq!(even_names("nothing"), "nothing");
    }

    #[test]
    fn fields_are_quoted_only_where_needed() {
        let data = json!({"a": "x", "b": "x y", "c": 1, "d": true, "e": ""});
        assert_eq!(
            fields(data.as_object().unwrap()),
            " a=x b=\"x y\" c=1 d=true e=\"\""
        );
    }

    #[test]
    fn only_the_speed_of_qemu_io_is_left_out() {
        assert!(is_speed(
            "64 KiB, 1 ops; 00.00 sec (1.2 GiB/sec and 3 ops/sec)"
        ));
        assert!(!is_speed("wrote 512/512 bytes at offset 0"));
    }
}
