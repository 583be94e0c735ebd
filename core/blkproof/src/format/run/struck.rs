//! What faults struck: not only which kind of request, but what the bytes were to the image.

use blkproof_spec::fault::Firing;
use blkproof_spec::{ByteRange, Format};

use super::super::outcome::Disturbance;
use super::super::scenario::BASE;
use super::{Run, file};
use crate::inspect::FilePart;

/// What the bytes of a request are to whoever looks at the image's file then.
const NEW: &str = "what nothing leads to yet";
const BELOW: &str = "the base";

/// How many requests of one step are looked at: a fault that lasts strikes the same again.
const LOOKS_MAX: usize = 8;

/// What happened since an image was last found right from outside, each kind of it once, in the
/// order in which it came. What was found right then does not go back to anything before.
#[derive(Clone, Default, Debug)]
pub(super) struct Trail(Vec<Disturbance>);

impl Trail {
    pub(super) fn note(&mut self, what: Disturbance) {
        if !self.0.contains(&what) {
            self.0.push(what);
        }
    }

    /// Forgets everything: the image was found right, and nobody has it in memory.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Tells it, to be read behind what was seen.
    pub(super) fn tell(&self) -> String {
        let all: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        if all.is_empty() {
            return String::new();
        }
        format!(", behind {}", all.join(", "))
    }
}

impl Run<'_, '_> {
    /// Tells whether a rule acted since this was asked last.
    pub(super) fn has_fired(&mut self) -> bool {
        let mut firings: Vec<Firing> = Vec::new();
        self.store.drain_ledger(&mut firings);
        let parts = self.parts_of(&firings);
        for firing in &firings {
            self.counts.fired += 1;
            let struck = struck(firing, parts.as_deref());
            for what in &struck {
                self.trail.note(Disturbance::Fault(firing.kind, Some(what)));
            }
            // Of a request that went across several parts nobody can tell which of them matters.
            let only = match struck[..] {
                [only] => Some(only),
                _ => None,
            };
            self.after = Disturbance::Fault(firing.kind, only);
            if struck.is_empty() {
                self.trail.note(self.after);
            }
        }
        !firings.is_empty()
    }

    /// Returns what lies in the file, as it is now, where it was struck; nothing where nobody can
    /// tell.
    fn parts_of(&mut self, firings: &[Firing]) -> Option<Vec<FilePart>> {
        let first = firings.iter().take(LOOKS_MAX);
        let of_image = first.filter(|firing| firing.place.image.as_str() != BASE);
        let wanted: Vec<ByteRange> = of_image.map(|firing| firing.range).collect();
        let inspector = self
            .judge
            .inspector
            .as_mut()
            .filter(|_| !wanted.is_empty())?;
        let mut image = inspector
            .open_alone(&self.store, &file(), Format::Qcow2)
            .ok()?;
        image.parts(&wanted).ok()
    }
}

/// Returns what the bytes of a request were, each kind of it once; nothing where nobody can tell.
fn struck(firing: &Firing, parts: Option<&[FilePart]>) -> Vec<&'static str> {
    if firing.place.image.as_str() == BASE {
        return vec![BELOW];
    }
    let Some(parts) = parts.filter(|_| !firing.range.is_empty()) else {
        return Vec::new();
    };
    let here = parts
        .iter()
        .filter(|part| part.range.overlaps(firing.range));
    let mut all: Vec<&'static str> = Vec::new();
    for part in here {
        if !all.contains(&part.what) {
            all.push(part.what);
        }
    }
    if all.is_empty() {
        all.push(NEW);
    }
    all
}
