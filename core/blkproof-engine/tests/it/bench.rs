//! Carries scenario texts out on the engine and holds it to what they say, without a model.

use std::collections::BTreeMap;

use blkproof::device::{MemStore, Pool};
use blkproof::spec::step::{
    Backup, BitmapPattern, Check, EventPattern, Expect, JobPattern, Reference, TransactionAction,
};
use blkproof::spec::{
    Action, At, BitmapName, ByteRange, Format, ImageName, JobEnd, JobEvent, JobName, Length,
    Offset, Reply, Scenario, Setup, Status, StepNumber, Tag,
};
use blkproof::{Subject, text};
use blkproof_engine::Engine;

/// How much is compared at once.
const PIECE: usize = 4 << 20;

/// An engine on a store of memory disks.
pub(crate) struct Bench {
    pub(crate) store: MemStore,
    pub(crate) engine: Engine,
    scenario: Scenario,
    /// Events in their order; those that checks consumed are gone.
    events: Vec<JobEvent>,
    /// What disks held when a job was created.
    points: BTreeMap<(ImageName, JobName), Vec<u8>>,
    next: usize,
    pub(crate) read: Vec<u8>,
}

/// Carries out a whole scenario.
pub(crate) fn run(scenario: &str) -> Bench {
    let mut bench = Bench::new(scenario);
    bench.run_to_end();
    bench
}

/// Carries out a scenario on a disk `drive0` of this size.
pub(crate) fn on_disk(size: &str, format: &str, steps: &str) -> Bench {
    run(&format!(
        "blkproof 1\ndisk drive0 {size} {format}\n{steps}\n"
    ))
}

impl Bench {
    pub(crate) fn new(scenario: &str) -> Self {
        let scenario = text::parse(scenario.as_bytes())
            .unwrap_or_else(|error| panic!("{}", error.render("scenario", scenario.as_bytes())));
        let store = MemStore::new(&Pool::default());
        let mut engine = Engine::new();
        let setup = &scenario.setup;
        engine.prepare(store.subject_handle(), setup).unwrap();
        for rule in &setup.rules {
            store.install(rule);
        }
        engine.open(store.subject_handle(), setup).unwrap();
        Self {
            store,
            engine,
            scenario,
            events: Vec::new(),
            points: BTreeMap::new(),
            next: 0,
            read: Vec::new(),
        }
    }

    /// Carries out further steps.
    pub(crate) fn more(&mut self, steps: &str) {
        let setup = text::print(&Scenario {
            setup: self.scenario.setup.clone(),
            ..Scenario::default()
        });
        let text = format!("{setup}{steps}\n");
        let more = text::parse(text.as_bytes())
            .unwrap_or_else(|error| panic!("{}", error.render("steps", text.as_bytes())));
        self.scenario.steps.extend(more.steps);
        self.run_to_end();
    }

    /// Closes the engine and opens another one on the same store.
    pub(crate) fn reopen(&mut self) {
        self.engine.close().unwrap();
        self.engine = Engine::new();
        let store = self.store.subject_handle();
        self.engine.open(store, &self.scenario.setup).unwrap();
    }

    /// Opens another engine on the same store without closing the one that has it open.
    pub(crate) fn kill(&mut self) {
        self.engine = Engine::new();
        let store = self.store.subject_handle();
        self.engine.open(store, &self.scenario.setup).unwrap();
    }

    pub(crate) fn setup(&self) -> &Setup {
        &self.scenario.setup
    }

    pub(crate) fn run_to_end(&mut self) {
        while self.next < self.scenario.steps.len() {
            self.step();
        }
    }

    fn step(&mut self) {
        let step = self.scenario.steps[self.next].clone();
        self.next += 1;
        let told = text::describe(&step);
        if let Action::Check(check) = &step.action {
            self.check(check, &told);
            return;
        }
        let reply = self.act(&step.action);
        let as_expected = match (step.expect, reply) {
            (Expect::Any, _) | (Expect::Done, Reply::Done) | (Expect::Pending, Reply::Pending) => {
                true
            }
            (Expect::Refused(why), Reply::Refused(refusal)) => why.is_none_or(|why| why == refusal),
            (Expect::Failed(what), Reply::Failed(errno)) => what.is_none_or(|what| what == errno),
            _ => false,
        };
        assert!(as_expected, "step {}: {told}: {reply:?}", self.next);
    }

    /// Carries out one action under the number of the current step.
    pub(crate) fn act(&mut self, action: &Action) -> Reply {
        match action {
            Action::Install(rule) => self.store.install(rule),
            Action::Lift(name) => assert!(self.store.lift(name)),
            Action::LiftAll => self.store.lift_all(),
            Action::ResumeTag(tag) => assert!(self.store.resume(tag)),
            Action::Tick(span) => self.store.tick(*span),
            Action::Restart => {
                if let Err(error) = self.engine.close() {
                    return Reply::Refused(error.refusal.unwrap());
                }
                self.engine.drain_events(&mut self.events);
                let store = self.store.subject_handle();
                self.engine.open(store, &self.scenario.setup).unwrap();
                return Reply::Done;
            }
            Action::Backup { backup, .. } => self.remember(&[backup]),
            Action::Transaction { actions, .. } => {
                let backups: Vec<_> = actions
                    .iter()
                    .filter_map(|action| match action {
                        TransactionAction::Backup(backup) => Some(&**backup),
                        _ => None,
                    })
                    .collect();
                self.remember(&backups);
            }
            _ => {}
        }
        self.read.clear();
        let number = StepNumber(u32::try_from(self.next).unwrap());
        let reply = self.engine.apply(number, action, &mut self.read);
        self.engine.drain_events(&mut self.events);
        reply
    }

    /// Keeps what disks hold that later checks compare something with.
    fn remember(&mut self, backups: &[&Backup]) {
        for backup in backups {
            let disk = backup.at.name();
            let job = backup.job.clone();
            let job = job.unwrap_or_else(|| JobName::new(disk.as_str()));
            let wanted = self.scenario.steps.iter().any(|step| {
                matches!(
                    &step.action,
                    Action::Check(Check::Image { equals: Reference::Point { job: other, .. }, .. })
                        if *other == job
                )
            });
            if wanted {
                let contents = self.undisturbed(disk);
                self.points.insert((disk.clone(), job), contents);
            }
        }
    }

    /// Returns what a disk holds; where it is raw, without any rule seeing that.
    fn undisturbed(&mut self, disk: &ImageName) -> Vec<u8> {
        let mut disks = self.scenario.setup.disks.iter();
        let raw = disks.any(|setup| setup.name == *disk && setup.geometry.format == Format::Raw);
        if !raw {
            return self.contents(disk.as_str());
        }
        let mut device = self.store.plain(disk).unwrap();
        let mut contents = vec![0; usize::try_from(device.size().0).unwrap()];
        device.read_at(Offset(0), &mut contents).unwrap();
        contents
    }

    /// Returns the size of a disk: the position from which on nothing can be read.
    fn size_of_disk(&mut self, disk: &ImageName) -> Option<u64> {
        let (mut low, mut high) = (0, u64::MAX / 512);
        self.peek(disk.as_str(), 0, 0).then_some(())?;
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            if self.peek(disk.as_str(), (middle - 1) * 512, 512) {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        Some(low * 512)
    }

    fn peek(&mut self, name: &str, start: u64, len: u64) -> bool {
        let mut buf = vec![0; usize::try_from(len).unwrap()];
        let at = At::Node(ImageName::new(name));
        let range = ByteRange::new(start, len);
        self.engine.peek(&at, range, &mut buf).is_ok()
    }

    /// Returns some bytes of a disk, or of an image through its chain.
    pub(crate) fn bytes(&mut self, name: &str, start: u64, len: u64) -> Vec<u8> {
        let mut buf = vec![0; usize::try_from(len).unwrap()];
        let at = At::Node(ImageName::new(name));
        self.engine
            .peek(&at, ByteRange::new(start, len), &mut buf)
            .unwrap();
        buf
    }

    pub(crate) fn contents(&mut self, name: &str) -> Vec<u8> {
        let size = self.size_of_disk(&ImageName::new(name)).unwrap();
        self.bytes(name, 0, size)
    }

    pub(crate) fn status(&mut self) -> Status {
        let mut status = Status::default();
        self.engine.status(&mut status);
        status
    }

    /// Returns all events that nothing consumed, told shortly, and forgets them.
    pub(crate) fn told_events(&mut self) -> Vec<String> {
        std::mem::take(&mut self.events)
            .iter()
            .map(|event| match event {
                JobEvent::Status { job, state } => format!("{} {job}", state.name()),
                JobEvent::Completed { job, error, .. } => match error {
                    Some(errno) => format!("COMPLETED({errno}) {job}"),
                    None => format!("COMPLETED {job}"),
                },
                JobEvent::Cancelled { job, .. } => format!("CANCELLED {job}"),
                JobEvent::Error { job, .. } => format!("ERROR {job}"),
                JobEvent::Pending { job } => format!("PENDING {job}"),
            })
            .collect()
    }

    pub(crate) fn is_suspended(&self, tag: &str) -> bool {
        self.store.is_suspended(&Tag::new(tag))
    }

    fn check(&mut self, check: &Check, told: &str) {
        match check {
            Check::Image { image, equals } => {
                let size = self.size_of_disk(image).unwrap();
                let point = match equals {
                    Reference::Now(other) => {
                        assert_eq!(self.size_of_disk(other), Some(size), "{told}");
                        None
                    }
                    Reference::Point { disk, job } => {
                        let point = self.points[&(disk.clone(), job.clone())].clone();
                        assert_eq!(point.len() as u64, size, "{told}");
                        Some(point)
                    }
                };
                for start in (0..size).step_by(PIECE) {
                    let len = (PIECE as u64).min(size - start);
                    let held = self.bytes(image.as_str(), start, len);
                    let expected = match (&point, equals) {
                        (Some(point), _) => {
                            let start = usize::try_from(start).unwrap();
                            point[start..start + held.len()].to_vec()
                        }
                        (None, equals) => self.bytes(other(equals), start, len),
                    };
                    assert!(held == expected, "{told}: they differ from {start} on");
                }
            }
            Check::Bitmap { at, name, report } => self.check_bitmap(at, name, report, told),
            Check::NoBitmap { at, name } => {
                assert!(!self.has_bitmap(at.name(), name), "{told}");
            }
            Check::Job { job, report } => self.check_job(job, report, told),
            Check::NoJobs => assert_eq!(self.status().jobs, [], "{told}"),
            Check::Event { job, event } => self.check_event(job, event, told),
            Check::NoEvents => {
                let mut events = self.events.iter();
                let left = events.find(|event| !matches!(event, JobEvent::Status { .. }));
                assert_eq!(left, None, "{told}");
            }
            _ => {}
        }
    }

    fn has_bitmap(&mut self, node: &ImageName, name: &BitmapName) -> bool {
        let status = self.status();
        let mut bitmaps = status.bitmaps.iter();
        bitmaps.any(|bitmap| bitmap.node == *node && bitmap.name == *name)
    }

    fn check_bitmap(&mut self, at: &At, name: &BitmapName, report: &BitmapPattern, told: &str) {
        let status = self.status();
        let mut bitmaps = status.bitmaps.iter();
        let seen = bitmaps
            .find(|bitmap| bitmap.node == *at.name() && bitmap.name == *name)
            .unwrap_or_else(|| panic!("{told}: not there"));
        let successor = seen.successor.as_ref();
        let successor = successor.map(|ranges| Length(ranges.iter().map(|range| range.len).sum()));
        let BitmapPattern {
            count,
            granularity,
            recording,
            busy,
            persistent,
            inconsistent,
            successor: expected,
        } = *report;
        assert_eq!(count.unwrap_or(seen.count), seen.count, "{told}");
        assert_eq!(
            granularity.unwrap_or(seen.granularity),
            seen.granularity,
            "{told}"
        );
        assert_eq!(
            recording.unwrap_or(seen.recording),
            seen.recording,
            "{told}"
        );
        assert_eq!(busy.unwrap_or(seen.busy), seen.busy, "{told}");
        assert_eq!(
            persistent.unwrap_or(seen.persistent),
            seen.persistent,
            "{told}"
        );
        assert_eq!(
            inconsistent.unwrap_or(seen.inconsistent),
            seen.inconsistent,
            "{told}"
        );
        assert_eq!(expected.or(successor), successor, "{told}");
    }

    fn check_job(&mut self, job: &JobName, report: &JobPattern, told: &str) {
        let status = self.status();
        let seen = status.jobs.iter().find(|seen| seen.job == *job);
        let seen = seen.unwrap_or_else(|| panic!("{told}: not there"));
        let JobPattern {
            state,
            len,
            offset,
            io_status,
            error,
        } = *report;
        assert_eq!(state.unwrap_or(seen.state), seen.state, "{told}");
        assert_eq!(len.unwrap_or(seen.len), seen.len, "{told}");
        assert_eq!(offset.unwrap_or(seen.offset), seen.offset, "{told}");
        assert_eq!(
            io_status.unwrap_or(seen.io_status),
            seen.io_status,
            "{told}"
        );
        if let Some(error) = error {
            let failed = match seen.end {
                Some(JobEnd::Failed(errno)) => Some(errno),
                _ => None,
            };
            assert_eq!(error, failed, "{told}");
        }
    }

    fn check_event(&mut self, job: &JobName, expected: &EventPattern, told: &str) {
        let mut events = self.events.iter();
        let index = events
            .position(|event| event.job() == job && !matches!(event, JobEvent::Status { .. }))
            .unwrap_or_else(|| panic!("{told}: none is left"));
        let seen = self.events.remove(index);
        let agree = |expected: Option<Length>, seen: Length| expected.is_none_or(|it| it == seen);
        let as_expected = match (expected, &seen) {
            (
                EventPattern::Completed { len, offset, error },
                JobEvent::Completed {
                    len: seen_len,
                    offset: seen_offset,
                    error: seen_error,
                    ..
                },
            ) => agree(*len, *seen_len) && agree(*offset, *seen_offset) && error == seen_error,
            (
                EventPattern::Cancelled { len, offset },
                JobEvent::Cancelled {
                    len: seen_len,
                    offset: seen_offset,
                    ..
                },
            ) => agree(*len, *seen_len) && agree(*offset, *seen_offset),
            (
                EventPattern::Error { side, action },
                JobEvent::Error {
                    side: seen_side,
                    action: seen_action,
                    ..
                },
            ) => side == seen_side && action == seen_action,
            (EventPattern::Pending, JobEvent::Pending { .. }) => true,
            _ => false,
        };
        assert!(as_expected, "{told}: {seen:?}");
    }
}

fn other(reference: &Reference) -> &str {
    match reference {
        Reference::Now(name) => name.as_str(),
        Reference::Point { disk, .. } => disk.as_str(),
    }
}

/// Carries out steps on a disk `drive0` of this size, once in each format.
pub(crate) fn both(size: &str, steps: &str) {
    for format in ["qcow2", "raw"] {
        on_disk(size, format, steps);
    }
}
