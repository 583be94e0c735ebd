//! A QMP connection: commands with their replies, and the events that arrive in between.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::{Map, Value, json};

/// A connection past its negotiation.
#[derive(Debug)]
pub(super) struct Monitor {
    stream: UnixStream,
    /// Bytes that were read and do not make a whole line yet.
    partial: Vec<u8>,
    events: VecDeque<Event>,
    limit: Duration,
}

/// An event without its timestamp.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Event {
    pub(super) name: String,
    pub(super) data: Map<String, Value>,
}

/// What a command returned, or the description of its error.
pub(super) type Reply = Result<Value, String>;

impl Monitor {
    /// Takes the greeting and leaves the negotiation mode; `limit` bounds each later wait too.
    pub(super) fn negotiate(stream: UnixStream, limit: Duration) -> anyhow::Result<Self> {
        let mut monitor = Self {
            stream,
            partial: Vec::new(),
            events: VecDeque::new(),
            limit,
        };
        let greeting = monitor
            .message(Instant::now() + limit)?
            .context("no QMP greeting came")?;
        if greeting.get("QMP").is_none() {
            bail!("expected a QMP greeting, found {greeting:?}");
        }
        let reply = monitor.execute("qmp_capabilities", &Map::new())?;
        reply.map_err(|desc| anyhow::anyhow!("qmp_capabilities was refused: {desc}"))?;
        Ok(monitor)
    }

    /// Sends a command and waits for its reply; events that come first are kept.
    pub(super) fn execute(
        &mut self,
        name: &str,
        arguments: &Map<String, Value>,
    ) -> anyhow::Result<Reply> {
        let mut command = json!({ "execute": name }).to_string();
        if !arguments.is_empty() {
            command = json!({ "execute": name, "arguments": arguments }).to_string();
        }
        command.push('\n');
        self.stream
            .write_all(command.as_bytes())
            .context("QEMU does not take commands")?;
        let deadline = Instant::now() + self.limit;
        loop {
            let Some(mut message) = self.message(deadline)? else {
                bail!("no reply to {name} within {} s", self.limit.as_secs());
            };
            if let Some(value) = message.remove("return") {
                return Ok(Ok(value));
            }
            if let Some(error) = message.remove("error") {
                let desc = error["desc"]
                    .as_str()
                    .context("an error without a description")?;
                return Ok(Err(desc.to_owned()));
            }
            self.keep_event(message)?;
        }
    }

    /// The events up to the first that `wanted` accepts; `None` when it does not come in time, and
    /// then all events are still there.
    pub(super) fn events_until(
        &mut self,
        wanted: impl Fn(&Event) -> bool,
    ) -> anyhow::Result<Option<Vec<Event>>> {
        let deadline = Instant::now() + self.limit;
        let mut seen = 0;
        loop {
            if let Some(index) = self.events.iter().skip(seen).position(&wanted) {
                return Ok(Some(self.events.drain(..=seen + index).collect()));
            }
            seen = self.events.len();
            match self.message(deadline)? {
                Some(message) => self.keep_event(message)?,
                None => return Ok(None),
            }
        }
    }

    /// All events that have arrived and were not taken yet.
    pub(super) fn take_events(&mut self) -> Vec<Event> {
        self.events.drain(..).collect()
    }

    fn keep_event(&mut self, mut message: Map<String, Value>) -> anyhow::Result<()> {
        let (name, data) = (message.remove("event"), message.remove("data"));
        match (name, data.unwrap_or_else(|| json!({}))) {
            (Some(Value::String(name)), Value::Object(data)) => {
                self.events.push_back(Event { name, data });
                Ok(())
            }
            _ => bail!("a message is neither reply nor event: {message:?}"),
        }
    }

    /// The next message; `None` when the deadline has passed.
    fn message(&mut self, deadline: Instant) -> anyhow::Result<Option<Map<String, Value>>> {
        loop {
            if let Some(end) = self.partial.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.partial.drain(..=end).collect();
                let message = serde_json::from_slice(&line).context("QEMU sent broken JSON")?;
                return Ok(Some(message));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.stream.set_read_timeout(Some(left))?;
            let mut chunk = [0; 4096];
            match self.stream.read(&mut chunk) {
                Ok(0) => bail!("QEMU closed its monitor"),
                Ok(count) => self.partial.extend_from_slice(&chunk[..count]),
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => {}
                    // So ends a connection whose other end had not read all that we sent.
                    ErrorKind::ConnectionReset => bail!("QEMU closed its monitor"),
                    _ => return Err(error).context("cannot read from QEMU's monitor"),
                },
            }
        }
    }
}

#[cfg(test)]
mod tests;
