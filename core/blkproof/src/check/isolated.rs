//! Judging in a process of its own, for subjects that may take the whole process with them.
//!
//! The program that runs the tests is started once more, for this one test alone. There the check
//! judges as always, and writes down what it is about to judge; here somebody waits. If the process
//! ends without a verdict (an abort, a stack that overflows, memory that runs out, an `exit` in the
//! midst of a step, or the clock that watches it), what it was at is known and becomes the report.
//! Smaller scenarios are tried the same way, each in one more process.
//!
//! What the two say to each other lies in a folder that only the variable `BLKPROOF_CHILD` names:
//! `check` (which one it is), `candidate.blk` (a single scenario, if only that is to be judged),
//! `now` and `step` (what is under way), `output` (what the process printed) and `verdict`.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use blkproof_spec::Scenario;

use super::campaign::{Campaign, What, gone};
use super::claims;
use super::judged::Judged;
use super::surroundings::CHILD;
use super::watch::Verdict;
use super::watched::{Call, Now};
use crate::known::{Known, Sightings};
use crate::outcome::{Counts, Outcome};
use crate::text;

/// How much of what a process printed is looked at, from its end.
const OUTPUT_MAX: usize = 4096;

/// How many of its last lines are told.
const LINES_MAX: usize = 3;

/// What a process is allowed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Isolation {
    /// The address space, in bytes.
    pub(super) memory: u64,
}

/// How a process ended.
enum End {
    Verdict(Result<Judged, String>),
    Gone(Box<Now>, String),
}

/// Judges a campaign in a process of its own. `place` tells this check from others of its test.
pub(super) fn judge(campaign: &Campaign, place: &str) -> Result<Judged, String> {
    let Some(test) = &campaign.around.test else {
        return Err("a check in a process of its own has to run in a test with a name".to_owned());
    };
    let start = |candidate: Option<&Scenario>| {
        let child = Child::new(test, place, candidate);
        let end = child.and_then(|child| child.run(&campaign.known));
        end.map_err(|error| format!("cannot judge in a process of its own: {error}"))
    };
    match start(None)? {
        End::Verdict(result) => result,
        End::Gone(now, words) => {
            let mut again = |candidate: &Scenario| match start(Some(candidate)) {
                Ok(End::Gone(now, words)) => Outcome::Failed(Box::new(gone(&now, &words).1)),
                _ => Outcome::Held(Counts::default()),
            };
            let replays = campaign.around.replay.is_some();
            let again = (!replays).then_some(&mut again as &mut super::campaign::Again<'_>);
            Err(campaign.tell_gone(&now, &words, again))
        }
    }
}

/// A process, and the folder between it and us.
struct Child {
    folder: PathBuf,
    test: String,
}

impl Drop for Child {
    fn drop(&mut self) {
        // What stays lies among the temporary files.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Child {
    fn new(test: &str, place: &str, candidate: Option<&Scenario>) -> io::Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("blkproof-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder)?;
        let child = Self {
            folder,
            test: test.to_owned(),
        };
        fs::write(child.folder.join("check"), place)?;
        if let Some(scenario) = candidate {
            fs::write(child.candidate(), text::print(scenario))?;
        }
        Ok(child)
    }

    fn candidate(&self) -> PathBuf {
        self.folder.join("candidate.blk")
    }

    /// Runs the process to its end.
    fn run(&self, known: &Known) -> io::Result<End> {
        let output = File::create(self.folder.join("output"))?;
        let status = Command::new(std::env::current_exe()?)
            .args([&self.test, "--exact", "--nocapture", "--include-ignored"])
            .env(CHILD, &self.folder)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .status()?;
        if let Some(verdict) = self.read("verdict") {
            return Ok(End::Verdict(parse_verdict(&verdict, known)?));
        }
        let said = self.read("output").unwrap_or_default();
        let Some(now) = self.now() else {
            let said = last_lines(&said);
            let never = format!("the process ended before it came to this check: {status}{said}");
            return Err(io::Error::other(never));
        };
        let words = match self.read("gone") {
            Some(words) => words,
            None => format!("its process ended: {status}{}", last_lines(&said)),
        };
        Ok(End::Gone(Box::new(now), words))
    }

    fn read(&self, name: &str) -> Option<String> {
        let bytes = fs::read(self.folder.join(name)).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Returns what the process was at, as it wrote it down.
    fn now(&self) -> Option<Now> {
        let now = self.read("now")?;
        let (what, scenario) = now.split_once('\n')?;
        let what = match what.split_once(' ')? {
            ("case", number) => What::Case(number.parse().ok()?),
            ("candidate", number) => What::Candidate(number.parse().ok()?),
            ("claim", name) => What::Claim(claims::known(name)?),
            (_, file) => What::File(file.into()),
        };
        let step = self.read("step")?;
        let (step, call) = step.trim().split_once(' ')?;
        Some(Now {
            what,
            scenario: text::parse(scenario.as_bytes()).ok()?,
            step: step.trim().parse().ok()?,
            call: Call::of(call.trim().parse().ok()?),
        })
    }
}

/// Returns the last lines of what a process printed, to be told behind something.
fn last_lines(output: &str) -> String {
    let start = output.len().saturating_sub(OUTPUT_MAX);
    let end = output.get(start..).unwrap_or(output);
    // What the test harness says of every test tells nothing.
    let telling = |line: &&str| !line.trim().is_empty() && !line.starts_with("running ");
    let lines: Vec<&str> = end.lines().filter(telling).collect();
    let lines = &lines[lines.len().saturating_sub(LINES_MAX)..];
    if lines.is_empty() {
        return String::new();
    }
    format!("; it said: {}", lines.join(" / "))
}

fn parse_verdict(text: &str, known: &Known) -> io::Result<Result<Judged, String>> {
    let Some((word, rest)) = text.split_once('\n') else {
        return Err(io::Error::other("its verdict is cut short"));
    };
    if word == "failed" {
        return Ok(Err(rest.to_owned()));
    }
    let mut numbers = rest.split_whitespace().map(str::parse::<u64>);
    let mut next = || numbers.next().and_then(Result::ok);
    let (Some(cases), Some(backups)) = (next(), next()) else {
        return Err(io::Error::other("its verdict is cut short"));
    };
    let mut seen = Sightings::default();
    for position in 0..known.findings().len() {
        for _ in 0..next().unwrap_or_default() {
            seen.note(position);
        }
    }
    Ok(Ok(Judged::with_seen(cases, backups, known, seen)))
}

/// What the process writes down while it judges.
#[derive(Debug)]
pub(super) struct Notes {
    folder: PathBuf,
    step: Mutex<File>,
}

impl Notes {
    pub(super) fn new(folder: &Path) -> io::Result<Self> {
        Ok(Self {
            folder: folder.to_owned(),
            step: Mutex::new(File::create(folder.join("step"))?),
        })
    }

    /// Notes a scenario. Where that cannot be done, nothing can be done about it either.
    pub(super) fn begin(&self, what: &What, scenario: &Scenario) {
        let what = match what {
            What::Case(number) => format!("case {number}"),
            What::Candidate(number) => format!("candidate {number}"),
            What::Claim(name) => format!("claim {name}"),
            What::File(file) => format!("file {}", file.display()),
        };
        let temporary = self.folder.join("next");
        let text = format!("{what}\n{}", text::print(scenario));
        if fs::write(&temporary, text).is_ok() {
            let _ = fs::rename(&temporary, self.folder.join("now"));
        }
        self.enter(0, Call::Nothing as u8);
    }

    pub(super) fn enter(&self, step: u32, call: u8) {
        let mut file = self.step.lock().unwrap_or_else(PoisonError::into_inner);
        if file.rewind().is_ok() {
            let _ = file.write_all(format!("{step:10} {call:3}\n").as_bytes());
        }
    }
}

/// Which check the process in this folder is for, and the single scenario, if it is for one.
pub(super) fn asked(folder: &Path) -> io::Result<(String, Option<PathBuf>)> {
    let place = fs::read_to_string(folder.join("check"))?;
    let candidate = folder.join("candidate.blk");
    Ok((place, candidate.exists().then_some(candidate)))
}

/// Judges in the process that was started for it, and ends that.
pub(super) fn serve(
    folder: &Path,
    isolation: Isolation,
    judge: impl FnOnce(Notes) -> Verdict,
) -> io::Result<()> {
    limit(isolation);
    let verdict = judge(Notes::new(folder)?);
    let (name, text) = match verdict {
        Verdict::Held(judged) => ("verdict", held_text(&judged)),
        Verdict::Failed(report) => ("verdict", format!("failed\n{report}")),
        Verdict::Gone(_, words) => ("gone", words),
    };
    let temporary = folder.join("last");
    fs::write(&temporary, text)?;
    fs::rename(&temporary, folder.join(name))?;
    // Threads that never come to their end are gone with the process.
    std::process::exit(0)
}

fn held_text(judged: &Judged) -> String {
    let mut text = format!("held\n{} {}", judged.cases, judged.backups);
    for (_, seen) in judged.known() {
        write!(text, " {seen}").expect("text grows");
    }
    text
}

/// Bounds the memory of this process, where the system can, and has it leave no core file behind.
#[cfg(unix)]
fn limit(isolation: Isolation) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let bound = |resource, most: u64| {
        let maximum = getrlimit(resource).maximum;
        let current = Some(maximum.map_or(most, |maximum| maximum.min(most)));
        // A system that cannot bound it leaves it unbounded, as the documentation says.
        let _ = setrlimit(resource, Rlimit { current, maximum });
    };
    bound(Resource::As, isolation.memory);
    bound(Resource::Core, 0);
}

#[cfg(not(unix))]
fn limit(_: Isolation) {}

/// Returns what tells a check from the others of its test: its place in the source, and how often
/// that was reached before.
pub(super) fn place(test: Option<&str>, caller: &core::panic::Location<'_>) -> String {
    static SEEN: Mutex<Vec<(String, u32)>> = Mutex::new(Vec::new());
    let key = format!("{} {caller}", test.unwrap_or_default());
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    let position = seen.iter().position(|(known, _)| *known == key);
    let position = position.unwrap_or_else(|| {
        seen.push((key.clone(), 0));
        seen.len() - 1
    });
    seen[position].1 += 1;
    format!("{key} {}", seen[position].1)
}

/// Makes a campaign of the single scenario that a process is for, if it is for one.
pub(super) fn of_candidate(campaign: &mut Arc<Campaign>, candidate: Option<PathBuf>) {
    if candidate.is_some() {
        Arc::make_mut(campaign).around.replay = candidate;
    }
}
