//! What the generator keeps account of while it makes up steps.
//!
//! It is the model's knowledge at a hundredth of its price: names, sizes, what is busy, what is
//! recorded, what surely still runs. Faults and units of work make some of it a guess; nothing
//! depends on a guess but how often a step that was meant to be legal is refused, which the
//! coverage table shows. The model judges in any case.

use blkproof_spec::step::{Action, Expect};
use blkproof_spec::{At, ByteRange, Format, Geometry, Step};

use super::few::Few;
use super::kind::KINDS;
use super::label::Label;
use super::{Choices, Profile};

/// The steps so far, and what they led to.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) steps: Vec<Step>,
    pub(super) disks: Vec<Disk>,
    pub(super) jobs: Few<Job, 6>,
    /// The images besides the disks, the latest last.
    pub(super) images: Few<Image, 16>,
    pub(super) requests: Few<Request, 5>,
    pub(super) rules: Few<Rule, 8>,
    /// The requests that are suspended, by their tags.
    pub(super) tags: Few<Label, 4>,
    /// Power may be lost in the midst of a step.
    pub(super) lossy: bool,
    /// There was a fault rule.
    pub(super) faulted: bool,
    /// A rule that makes requests wait may be there.
    pub(super) holds: bool,
    /// The weights of the kinds that this scenario draws from, and their sum.
    pub(super) weights: [u32; KINDS],
    pub(super) sum: u32,
    /// Which kinds of faults this scenario draws from.
    pub(super) faults: u64,
    /// A target that is to be, at which a rule waits.
    pub(super) awaited: Option<Label>,
    next: u32,
}

/// A disk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Disk {
    pub(super) name: Label,
    pub(super) geometry: Geometry,
    /// The largest size that it may ever have had.
    pub(super) largest: u64,
    /// It is a node without a device.
    pub(super) is_node: bool,
    pub(super) backing: Option<Label>,
    pub(super) bitmaps: Few<Bitmap, 4>,
    /// The last image that holds all of it.
    pub(super) last_full: Option<Label>,
    /// Per cent of the guest requests that begin and end at edges.
    pub(super) edges: u64,
    /// Where guest requests went lately.
    pub(super) touched: Few<ByteRange, 4>,
}

/// A bitmap.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Bitmap {
    pub(super) name: Label,
    /// The image on which its next incremental stands.
    pub(super) base: Option<Label>,
    pub(super) disabled: bool,
    /// It outlives a restart.
    pub(super) persistent: bool,
}

/// A job that may not be over.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Job {
    pub(super) name: Label,
    pub(super) disk: usize,
    pub(super) bitmap: Option<Label>,
    pub(super) target: Label,
    /// Whether its success makes its target the base of the bitmap's next increment.
    pub(super) moves_base: bool,
    /// It has no end of its own.
    pub(super) endless: bool,
    pub(super) paused: bool,
    /// It has done all its work and waits for a command.
    pub(super) worked: bool,
    /// It is over and waits to be dismissed.
    pub(super) concluded: bool,
    pub(super) finalize: bool,
    pub(super) dismiss: bool,
    /// The units that it can do without coming to its end, surely.
    pub(super) units: u64,
    /// It may be over.
    pub(super) doubtful: bool,
}

/// An image besides the disks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Image {
    pub(super) name: Label,
    pub(super) geometry: Geometry,
    pub(super) has_backing: bool,
}

impl Default for Image {
    fn default() -> Self {
        Self {
            name: Label::default(),
            geometry: Geometry::raw(0.into()),
            has_backing: false,
        }
    }
}

/// A request in flight.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Request {
    pub(super) name: Label,
    /// The tag under which it is suspended.
    pub(super) tag: Option<Label>,
}

/// A fault rule that is installed.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Rule {
    pub(super) name: Label,
}

impl Account {
    pub(super) fn new(choices: &mut Choices<'_>, profile: &Profile, steps: usize) -> Self {
        let mut account = Self {
            steps: Vec::with_capacity(steps),
            disks: Vec::new(),
            jobs: Few::default(),
            images: Few::default(),
            requests: Few::default(),
            rules: Few::default(),
            tags: Few::default(),
            lossy: false,
            faulted: false,
            holds: false,
            weights: profile.weights,
            sum: 0,
            faults: subset(choices, profile.kinds),
            awaited: None,
            next: 0,
        };
        account.draw_kinds(choices, profile);
        account
    }

    /// Draws the kinds of steps that this scenario is made of.
    fn draw_kinds(&mut self, choices: &mut Choices<'_>, profile: &Profile) {
        let kinds = subset(choices, profile.kinds);
        for (index, weight) in self.weights.iter_mut().enumerate() {
            if kinds >> index & 1 == 0 {
                *weight = 0;
            }
        }
        if self.weights.iter().all(|weight| *weight == 0) {
            self.weights = profile.weights;
        }
        self.sum = self.weights.iter().sum();
    }

    /// Adds a step that the model alone judges.
    pub(super) fn push(&mut self, action: Action) {
        self.push_expecting(action, Expect::Any);
    }

    pub(super) fn push_expecting(&mut self, action: Action, expect: Expect) {
        // Whether a step comes to an answer, where power may be lost in its midst, nobody can tell.
        let expect = if self.lossy { Expect::Any } else { expect };
        self.steps.push(Step { action, expect });
    }

    /// Returns a name that nothing has yet.
    pub(super) fn fresh(&mut self, stem: &'static str) -> Label {
        self.next += 1;
        Label::new(stem, self.next)
    }

    /// Returns the name of a new target: one at which a rule waits already, or a fresh one.
    pub(super) fn fresh_target(&mut self, stem: &'static str) -> Label {
        match self.awaited.take() {
            Some(awaited) => awaited,
            None => self.fresh(stem),
        }
    }

    /// Tells whether a job surely, or maybe, has the disk as its source.
    pub(super) fn is_source(&self, disk: usize) -> bool {
        self.jobs
            .iter()
            .any(|job| job.disk == disk && !job.concluded)
    }

    /// Tells whether a job may hold the bitmap.
    pub(super) fn is_busy(&self, bitmap: Label) -> bool {
        self.jobs
            .iter()
            .any(|job| job.bitmap == Some(bitmap) && !job.concluded)
    }

    /// Tells whether a job may write the image, or has it below its target.
    pub(super) fn is_open(&self, image: Label) -> bool {
        self.jobs.iter().any(|job| job.target == image)
            || self.disks.iter().any(|disk| disk.backing == Some(image))
    }

    pub(super) fn image(&self, name: Label) -> Option<&Image> {
        self.images.iter().find(|image| image.name == name)
    }

    /// Takes a job for over: what came of it is a guess where faults may have struck.
    pub(super) fn ended(&mut self, index: usize, well: bool) {
        let job = self.jobs[index];
        if job.dismiss {
            self.jobs[index].concluded = true;
            self.jobs[index].worked = false;
        } else {
            self.jobs.remove(index);
        }
        if well && job.moves_base {
            self.move_base(job.disk, job.bitmap, job.target);
        }
    }

    pub(super) fn move_base(&mut self, disk: usize, bitmap: Option<Label>, base: Label) {
        for known in self.disks[disk].bitmaps.iter_mut() {
            if Some(known.name) == bitmap {
                known.base = Some(base);
            }
        }
    }
}

/// Draws a subset of at most 64 kinds, each with this chance; everything is the simplest choice.
fn subset(choices: &mut Choices<'_>, percent: u64) -> u64 {
    if percent >= 100 {
        return u64::MAX;
    }
    // Three bits a kind tell eighths apart, which is near enough.
    let eighths = (percent + 6) * 8 / 100;
    let [first, second, third] = [choices.bits(), choices.bits(), choices.bits()];
    if eighths > 7 {
        return u64::MAX;
    }
    // All kinds at once: whose three bits make less than that, from the highest bit down.
    let (mut less, mut equal) = (0, u64::MAX);
    for (weight, drawn) in [(4, third), (2, second), (1, first)] {
        if eighths & weight == 0 {
            equal &= !drawn;
        } else {
            less |= equal & !drawn;
            equal &= drawn;
        }
    }
    less
}

impl Disk {
    /// Addresses it as a device, or now and then as a node.
    pub(super) fn at(&self, choices: &mut Choices<'_>) -> At {
        if choices.chance(15) {
            At::Node(self.name.image())
        } else {
            self.name.device()
        }
    }

    pub(super) fn is_qcow2(&self) -> bool {
        self.geometry.format == Format::Qcow2
    }
}
