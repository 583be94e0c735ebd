//! What a subject reports of its jobs and bitmaps.

use super::Model;
use super::bitmaps::{Bitmap, Owner, Track};
use super::jobs::Pause;
use super::judgement::{About, Fact, Judgement};
use super::ranges::RangeSet;
use crate::property::{
    Property, answers_exact, bitmap_honest, dirty_precise, dirty_recovers, dirty_sound,
    errors_caused, job_lifecycle, pause_exact, refusal_harmless, transaction_atomic,
};
use crate::status::{BitmapStatus, JobState, JobStatus, Status};
use crate::units::{ByteRange, Length};

impl Model {
    /// Judges a report.
    pub(super) fn judge_status(&mut self, status: &Status, out: &mut Judgement) {
        let first = out.violations.len();
        self.judge_jobs(status, out);
        if self.capabilities.bitmap_status {
            self.judge_bitmaps(status, out);
        }
        if !self.scope.recovered.is_empty() {
            out.exercise(Property::DirtyRecovers);
        }
        if self.scope.refused {
            out.exercise(Property::RefusalHarmless);
            if self.scope.transaction {
                out.exercise(Property::TransactionAtomic);
            }
            for index in first..out.violations.len() {
                let found = out.violations[index].clone();
                if self.scope.transaction {
                    transaction_atomic::changed(&found, out);
                }
                refusal_harmless::changed(&found, out);
            }
        }
    }

    fn judge_jobs(&mut self, status: &Status, out: &mut Judgement) {
        for seen in &status.jobs {
            match self.job_index(&seen.job) {
                Some(index) => self.judge_job(index, seen, out),
                None => {
                    let found = Fact::State(seen.state);
                    job_lifecycle::violated(&seen.job, "report", Fact::Nothing, found, out);
                }
            }
        }
        for job in &self.jobs {
            if status.job(&job.name).is_none() {
                let expected = job.state.map_or(Fact::Text("created"), Fact::State);
                job_lifecycle::violated(&job.name, "report", expected, Fact::Nothing, out);
            }
        }
    }

    fn judge_job(&mut self, index: usize, seen: &JobStatus, out: &mut Judgement) {
        let job = &mut self.jobs[index];
        if !self.capabilities.events {
            job.state = Some(seen.state);
        } else if job.state != Some(seen.state) {
            let expected = job.state.map_or(Fact::Nothing, Fact::State);
            job_lifecycle::violated(&job.name, "state", expected, Fact::State(seen.state), out);
        }
        let done = matches!(seen.state, JobState::Waiting | JobState::Pending);
        if done && seen.offset != seen.len {
            let (expected, found) = (Fact::Bytes(seen.len), Fact::Bytes(seen.offset));
            job_lifecycle::violated(&job.name, "offset", expected, found, out);
        }
        let about = About::Job(job.name.clone());
        answers_exact::same(&about, "speed", job.speed, seen.speed, Fact::Number, out);
        answers_exact::same(&about, "end", job.end, seen.end, Fact::End, out);
        if job.io_status_open {
            job.io_status = seen.io_status;
            job.io_status_open = false;
        }
        match job.pause {
            Pause::Error => pause_exact::status(seen, job.io_status, out),
            Pause::None if seen.state == JobState::Paused => {
                errors_caused::spurious(about, "state", Fact::State(seen.state), out);
            }
            Pause::None | Pause::User => {
                let (expected, found) = (job.io_status, seen.io_status);
                if job.is_active() {
                    answers_exact::same(&about, "io-status", expected, found, Fact::IoStatus, out);
                }
            }
        }
        self.take_progress(index, seen.len.0, seen.offset.0, out);
    }

    fn judge_bitmaps(&mut self, status: &Status, out: &mut Judgement) {
        for seen in &status.bitmaps {
            if !self.is_known(seen) {
                let about = About::Bitmap {
                    disk: seen.node.clone(),
                    name: seen.name.clone(),
                };
                answers_exact::check(about, "report", Fact::Nothing, Fact::Otherwise, out);
            }
        }
        self.settle_open(status);
        for index in 0..self.bitmaps.len() {
            let Owner::Disk(disk) = self.bitmaps[index].owner else {
                continue;
            };
            let node = &self.images.get(disk).name;
            let bitmap = &self.bitmaps[index];
            let Some(seen) = status.bitmap(node, &bitmap.name) else {
                let about = About::Bitmap {
                    disk: node.clone(),
                    name: bitmap.name.clone(),
                };
                answers_exact::check(about, "report", Fact::Otherwise, Fact::Nothing, out);
                continue;
            };
            let first = out.violations.len();
            self.judge_bitmap(index, seen, out);
            self.name_cause(index, first, out);
        }
    }

    /// Tells whether a reported bitmap exists; those of filters may be reported under any node.
    fn is_known(&self, seen: &BitmapStatus) -> bool {
        self.bitmaps.iter().any(|bitmap| {
            bitmap.name == seen.name
                && match &bitmap.owner {
                    Owner::Disk(disk) => self.images.get(*disk).name == seen.node,
                    Owner::Filter(_) => true,
                }
        })
    }

    /// Reports what is wrong with a bitmap once more under the properties that name the situation.
    fn name_cause(&self, index: usize, first: usize, out: &mut Judgement) {
        if first == out.violations.len() {
            return;
        }
        let bitmap = &self.bitmaps[index];
        let key = (bitmap.owner.clone(), bitmap.name.clone());
        let recovered = self.scope.recovered.contains(&key);
        let came_back = bitmap.came_back;
        let stopped = self
            .jobs
            .iter()
            .find(|job| job.pause == Pause::Error && job.bitmap.as_ref() == Some(&key));
        for index in first..out.violations.len() {
            let found = out.violations[index].clone();
            if came_back && found.property == Property::DirtySound {
                bitmap_honest::short(&found, out);
            }
            if recovered {
                dirty_recovers::changed(&found, out);
            }
            if let Some(job) = stopped {
                pause_exact::changed(&job.name, &found, out);
            }
        }
    }

    fn judge_bitmap(&mut self, index: usize, seen: &BitmapStatus, out: &mut Judgement) {
        let bitmap = &self.bitmaps[index];
        let about = About::Bitmap {
            disk: seen.node.clone(),
            name: seen.name.clone(),
        };
        judge_flags(bitmap, seen, &about, out);
        if bitmap.came_back || bitmap.inconsistent {
            out.exercise(Property::BitmapHonest);
        }
        if bitmap.inconsistent {
            if !seen.inconsistent {
                bitmap_honest::shown(&about, out);
            }
            let nothing = Length(0);
            answers_exact::same(&about, "count", nothing, seen.count, Fact::Bytes, out);
            return;
        }
        let (least, most) = bitmap.track.count();
        let left = self
            .scope
            .remainders
            .iter()
            .find(|known| known.owner == bitmap.owner && known.name == bitmap.name)
            .map_or(0, |known| known.left);
        dirty_sound::count(&about, least.max(left), seen.count.0, out);
        dirty_precise::count(&about, most, seen.count.0, out);
        if let Some(dirty) = &seen.dirty {
            let total = Length(dirty.iter().map(|range| range.len).sum());
            answers_exact::same(&about, "count", total, seen.count, Fact::Bytes, out);
            if judge_track(&self.bitmaps[index].track, dirty, &about, out) {
                self.adopt(index, dirty, out);
            }
        }
        if let Some(dirty) = &seen.successor {
            match &self.bitmaps[index].successor {
                Some(track) => {
                    let open = !track.extra.is_empty();
                    if judge_track(track, dirty, &about, out) && open {
                        let flying = self.flying(index);
                        if let Some(track) = &mut self.bitmaps[index].successor {
                            adopt_track(track, dirty, &flying);
                        }
                    }
                }
                None => {
                    let found = Fact::Ranges(dirty.clone());
                    answers_exact::check(about, "successor", Fact::Nothing, found, out);
                }
            }
        }
    }

    /// Returns the granules of a bitmap that requests in flight may still make dirty.
    fn flying(&self, index: usize) -> RangeSet {
        let bitmap = &self.bitmaps[index];
        self.flights
            .iter()
            .filter(|flight| bitmap.owner == Owner::Disk(flight.disk) && !flight.done)
            .map(|flight| bitmap.granules(flight.op.range()))
            .collect()
    }

    /// Takes in which of the granules that may be dirty are.
    fn adopt(&mut self, index: usize, dirty: &[ByteRange], out: &mut Judgement) {
        if !self.bitmaps[index].track.extra.is_empty() {
            let flying = self.flying(index);
            adopt_track(&mut self.bitmaps[index].track, dirty, &flying);
        }
        let remainders = std::mem::take(&mut self.scope.remainders);
        for remainder in &remainders {
            let bitmap = &self.bitmaps[index];
            if remainder.owner == bitmap.owner && remainder.name == bitmap.name {
                let dirty: RangeSet = dirty.iter().copied().collect();
                self.settle_remainder(remainder, &dirty, out);
            }
        }
        self.scope.remainders = remainders;
    }
}

fn judge_flags(bitmap: &Bitmap, seen: &BitmapStatus, about: &About, out: &mut Judgement) {
    let mut flag = |aspect, expected: bool, found: bool| {
        answers_exact::same(about, aspect, expected, found, Fact::Flag, out);
    };
    flag("busy", bitmap.busy(), seen.busy);
    flag("recording", bitmap.recording(), seen.recording);
    flag("persistent", bitmap.persistent, seen.persistent);
    flag("inconsistent", bitmap.inconsistent, seen.inconsistent);
    let expected = Length(bitmap.granularity);
    answers_exact::same(
        about,
        "granularity",
        expected,
        seen.granularity,
        Fact::Bytes,
        out,
    );
}

/// Judges reported dirty ranges, and tells whether they are as they have to be.
fn judge_track(track: &Track, dirty: &[ByteRange], about: &About, out: &mut Judgement) -> bool {
    if track.extra.is_empty() && track.must.iter().eq(dirty.iter().copied()) {
        return true;
    }
    let seen: RangeSet = dirty.iter().copied().collect();
    let mut missing = track.must.clone();
    missing.subtract(&seen);
    let mut surplus = seen;
    surplus.subtract(&track.may());
    let sound = missing.is_empty() && surplus.is_empty();
    dirty_sound::check(about, missing.to_vec(), out);
    dirty_precise::check(about, surplus.to_vec(), out);
    sound
}

/// Takes in a report that is as it has to be: what may be dirty is now known to be, or not to be,
/// but for what is in flight, and what was just lost or not.
fn adopt_track(track: &mut Track, dirty: &[ByteRange], flying: &RangeSet) {
    let mut open = RangeSet::default();
    for range in flying.iter().chain(track.lost.iter()) {
        open.extend(track.extra.within(range));
    }
    track.must = dirty.iter().copied().collect();
    open.subtract(&track.must);
    track.extra = open;
}
