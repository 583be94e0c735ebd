//! Carrying out the steps of a file, one after the other.

use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::{Map, Value, json};

use super::monitor::{Event, Reply};
use super::script::{Script, Step};
use super::subject::{Kind, Subject};
use super::transcript::{Transcript, fields};
use crate::failure::Failure;
use crate::tools;

/// How to run a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    /// Which program plays QEMU.
    pub(crate) kind: Kind,
    /// Whether to print the pause and resume that a drain causes.
    pub(crate) drains: bool,
    /// The longest that any one wait may take.
    pub(crate) limit: Duration,
}

/// Runs a parsed file in a fresh folder; `name` stands for it in errors.
pub(crate) fn run(
    name: &str,
    script: &Script,
    options: &Options,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    for (program, package) in needed(script, options.kind) {
        if tools::find(program).is_none() {
            let hint = format!("install it, on Debian with: apt-get install {package}");
            return Err(Failure::environment(format!(
                "{program} was not found; {hint}"
            )));
        }
    }
    let folder = tempfile::tempdir().context("cannot create a temporary folder")?;
    let folder = folder.path();
    let mut session = Session {
        options,
        subject: Subject::start(options.kind, folder, options.limit)?,
        folder,
        out: Transcript {
            out,
            folder: folder.display().to_string(),
            drains: options.drains,
        },
        expected_error: None,
        nbd_started: false,
        said: 0,
    };
    for line in &script.lines {
        session.out.source(&line.text).map_err(cannot_print)?;
        let Some(step) = &line.step else { continue };
        session
            .step(step)
            .map_err(|error| Failure::Check(error.context(format!("{name}:{}", line.number))))?;
    }
    session
        .finish()
        .map_err(|error| Failure::Check(error.context(format!("{name}: at the end"))))
}

/// The programs that the file calls for, each with its package.
fn needed(script: &Script, kind: Kind) -> Vec<(&'static str, &'static str)> {
    let mut programs = vec![(kind.program(), kind.package())];
    for step in script.lines.iter().filter_map(|line| line.step.as_ref()) {
        match step {
            Step::Program { name, .. } => programs.push((name, "qemu-utils")),
            Step::Guest { .. } => programs.push(("qemu-io", "qemu-utils")),
            _ => {}
        }
    }
    programs
}

fn cannot_print(error: io::Error) -> Failure {
    Failure::environment(format!("cannot print: {error}"))
}

struct Session<'a> {
    options: &'a Options,
    subject: Subject,
    folder: &'a Path,
    out: Transcript<'a>,
    /// What the message of the next step's failure must hold.
    expected_error: Option<String>,
    nbd_started: bool,
    /// How much of the program's own output was printed already.
    said: usize,
}

impl Session<'_> {
    fn step(&mut self, step: &Step) -> anyhow::Result<()> {
        match step {
            Step::ExpectError(text) => self.expected_error = Some(text.clone()),
            Step::Command { name, arguments } => self.command(name, arguments)?,
            Step::Program { name, args } => self.program(name, args)?,
            Step::Guest { node, commands } => self.guest(node, commands)?,
            Step::Export(node) => self.export(node)?,
            Step::Unexport(node) => self.unexport(node)?,
            Step::WaitEvent { name, values } => self.wait_event(name, values)?,
            Step::WaitJob { id, field, value } => self.wait_job(id, field, value)?,
            Step::Bitmaps => self.bitmaps()?,
            Step::Restart => self.restart(true)?,
            Step::Kill => self.restart(false)?,
        }
        self.print_said()
    }

    fn command(&mut self, name: &str, arguments: &Map<String, Value>) -> anyhow::Result<()> {
        let mut arguments = Value::Object(arguments.clone());
        self.expand(&mut arguments);
        let arguments = arguments.as_object().expect("an object stays one");
        let reply = match self.subject.monitor.execute(name, arguments) {
            Ok(reply) => reply,
            Err(error) => self.after_crash(error)?,
        };
        self.out.reply(&reply)?;
        self.judge(reply.as_ref().err().map(String::as_str))
    }

    /// If QEMU has crashed, starts it again and returns the crash as the reply, so that
    /// `expect-error` can speak of it; else the connection's error stands.
    fn after_crash(&mut self, error: anyhow::Error) -> anyhow::Result<Reply> {
        let Some(end) = self.subject.crash()? else {
            return Err(error);
        };
        self.print_said()?;
        self.start()?;
        Ok(Err(end))
    }

    fn program(&mut self, name: &str, args: &[String]) -> anyhow::Result<()> {
        let folder = self.folder.display().to_string();
        let args: Vec<_> = args
            .iter()
            .map(|arg| arg.replace("${DIR}", &folder))
            .collect();
        let finished = tools::run_bounded(name, &args, self.folder, self.options.limit)?;
        self.out.program(&finished.output)?;
        let failed = !finished.status.success();
        self.judge(failed.then_some(finished.output.as_str()))
    }

    fn guest(&mut self, node: &str, commands: &[String]) -> anyhow::Result<()> {
        // qemu-io flushes when it closes, which no guest did. Only `unsafe` keeps it from that,
        // and it also makes the command flush do nothing: hence the choice.
        let flushes = commands.iter().any(|command| command == "flush");
        let cache = if flushes { "writeback" } else { "unsafe" };
        let export = format!("nbd+unix:///{node}?socket=nbd.sock");
        let mut args = vec!["-f", "raw", "-t", cache, "-d", "unmap", &export];
        for command in commands {
            args.extend(["-c", command]);
        }
        let args: Vec<_> = args.into_iter().map(str::to_owned).collect();
        self.program("qemu-io", &args)
    }

    /// Compares a step's outcome with what `expect-error` said about it.
    fn judge(&mut self, error: Option<&str>) -> anyhow::Result<()> {
        match (error, self.expected_error.take()) {
            (None, None) => Ok(()),
            (Some(error), Some(text)) => {
                ensure!(
                    error.contains(&text),
                    "expected an error with {text:?}, found {error:?}"
                );
                Ok(())
            }
            (None, Some(text)) => bail!("expected an error with {text:?}, but it succeeded"),
            (Some(error), None) => {
                bail!(
                    "failed: {}; if it must fail, put expect-error before it",
                    error.trim()
                )
            }
        }
    }

    fn export(&mut self, node: &str) -> anyhow::Result<()> {
        if !self.nbd_started {
            let path = json!({ "path": "nbd.sock" });
            self.must(
                "nbd-server-start",
                json!({ "addr": { "type": "unix", "data": path } }),
            )?;
            self.nbd_started = true;
        }
        let arguments = json!({
            "type": "nbd", "id": format!("export-{node}"), "node-name": node, "name": node,
            "writable": true,
        });
        self.must("block-export-add", arguments)
    }

    fn unexport(&mut self, node: &str) -> anyhow::Result<()> {
        let id = format!("export-{node}");
        self.must("block-export-del", json!({ "id": id }))?;
        self.wait_event("BLOCK_EXPORT_DELETED", &[json!(id)])
    }

    /// A command of our own, which has to succeed.
    fn must(&mut self, name: &str, arguments: Value) -> anyhow::Result<()> {
        let arguments = arguments.as_object().expect("arguments are objects");
        let reply = self.subject.monitor.execute(name, arguments)?;
        reply
            .map(|_| ())
            .map_err(|desc| anyhow::anyhow!("{name} was refused: {desc}"))
    }

    fn wait_event(&mut self, name: &str, values: &[Value]) -> anyhow::Result<()> {
        let wanted = |event: &Event| {
            let has = |value| event.data.values().any(|found| found == value);
            event.name == name && values.iter().all(has)
        };
        if let Some(events) = self.subject.monitor.events_until(wanted)? {
            return Ok(self.out.events(&events)?);
        }
        let waiting = self.subject.monitor.take_events();
        self.out.events(&waiting)?;
        let seconds = self.options.limit.as_secs();
        bail!("{name} did not come within {seconds} s; the events above did")
    }

    fn wait_job(&mut self, id: &str, field: &str, value: &Value) -> anyhow::Result<()> {
        let deadline = Instant::now() + self.options.limit;
        loop {
            let reply = self
                .subject
                .monitor
                .execute("query-block-jobs", &Map::new())?;
            let jobs = reply.map_err(|desc| anyhow::anyhow!("query-block-jobs: {desc}"))?;
            let mut jobs = jobs.as_array().into_iter().flatten();
            let job = jobs.find(|job| job["device"] == id).cloned();
            match &job {
                Some(job) if job[field] == *value => {
                    return Ok(self.out.reply(&Ok(job.clone()))?);
                }
                _ if Instant::now() < deadline => std::thread::sleep(tools::POLL),
                Some(job) => bail!("the job's {field} did not become {value}: {job}"),
                None => bail!("there is no job {id:?}"),
            }
        }
    }

    fn bitmaps(&mut self) -> anyhow::Result<()> {
        let arguments = Map::from_iter([("flat".to_owned(), json!(true))]);
        let reply = self
            .subject
            .monitor
            .execute("query-named-block-nodes", &arguments)?;
        let nodes = reply.map_err(|desc| anyhow::anyhow!("query-named-block-nodes: {desc}"))?;
        let mut lines = Vec::new();
        for node in nodes.as_array().into_iter().flatten() {
            for bitmap in node["dirty-bitmaps"].as_array().into_iter().flatten() {
                let mut data = bitmap.as_object().cloned().unwrap_or_default();
                let bitmap = data.remove("name");
                let bitmap = bitmap
                    .as_ref()
                    .and_then(Value::as_str)
                    .unwrap_or("(no name)");
                let node = node["node-name"].as_str().unwrap_or_default();
                lines.push(format!("{node} {bitmap}:{}", fields(&data)));
            }
        }
        // Nodes come newest first, and which of two is newer says nothing here.
        lines.sort();
        if lines.is_empty() {
            lines.push("no bitmaps".to_owned());
        }
        Ok(self.out.answer(&lines.join("\n"))?)
    }

    fn restart(&mut self, politely: bool) -> anyhow::Result<()> {
        if politely {
            self.end()?;
        } else {
            self.subject.kill();
            self.print_said()?;
        }
        self.start()
    }

    fn start(&mut self) -> anyhow::Result<()> {
        self.subject = Subject::start(self.options.kind, self.folder, self.options.limit)?;
        self.nbd_started = false;
        self.said = 0;
        Ok(())
    }

    /// Quits and prints the events that came before the end.
    fn end(&mut self) -> anyhow::Result<()> {
        self.subject.quit(self.options.limit)?;
        let events = self.subject.monitor.take_events();
        self.out.events(&events)?;
        self.print_said()
    }

    fn finish(mut self) -> anyhow::Result<()> {
        self.out.source("# quit")?;
        self.end()
    }

    /// Prints what the program has said by itself since the last time.
    fn print_said(&mut self) -> anyhow::Result<()> {
        let said = self.subject.said()?;
        let new = said.get(self.said..).unwrap_or_default();
        // The first differs between versions and tells nothing new. The second comes whenever a
        // request happens to reach its breakpoint; that wait_break returned says the same.
        let idle = ["Formatting '", "blkdebug: "];
        let lines = new
            .lines()
            .filter(|line| !idle.iter().any(|idle| line.starts_with(idle)));
        self.out.program(&lines.collect::<Vec<_>>().join("\n"))?;
        self.said = said.len();
        Ok(())
    }

    /// Puts the folder's path where a string says `${DIR}`.
    fn expand(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = text.replace("${DIR}", &self.out.folder),
            Value::Array(items) => items.iter_mut().for_each(|item| self.expand(item)),
            Value::Object(members) => members.values_mut().for_each(|member| self.expand(member)),
            _ => {}
        }
    }
}
