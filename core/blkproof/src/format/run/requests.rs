//! Requests, and opening and closing the image.

use blkproof_spec::{ByteRange, Offset, SECTOR, StepNumber};

use super::super::model::written;
use super::super::outcome::{Finding, Property, UNREAD};
use super::super::scenario::Op;
use super::super::seam::{Files, Handled, Image, OpenOptions, Request, RequestError, Resizes};
use super::super::watch::Unwound;
use super::{Run, Stop, base, file};

/// How often a request is made that fails.
const ATTEMPTS: u32 = 4;

impl Run<'_, '_> {
    /// Has a request carried out, again where it fails and the client does not give up.
    pub(super) fn request(&mut self, number: StepNumber, op: &Op, retry: bool) -> Result<(), Stop> {
        let Some(op) = self.fitted(op) else {
            self.answers.push((number, "left out".to_owned()));
            return Ok(());
        };
        let attempts = if retry { ATTEMPTS } else { 1 };
        for attempt in 0..attempts {
            self.counts.retries += u64::from(attempt > 0);
            if self.attempt(number, &op)? {
                break;
            }
        }
        Ok(())
    }

    /// Returns the request as the library can be asked for it: within the image, aligned, and one
    /// of those that it has.
    fn fitted(&self, op: &Op) -> Option<Op> {
        let able = self.judge.library.capabilities();
        let size = self.image.as_ref()?.size().0;
        let align = able.guest_align.unwrap_or(self.scenario.setup.align);
        let fit = |range: &ByteRange| {
            let range = range.outward(align);
            let range = range.intersect(ByteRange::between(0, size - size % align));
            (!range.is_empty()).then_some(range)
        };
        Some(match op {
            Op::Read(range) => Op::Read(fit(range)?),
            Op::Write { range, content } => Op::Write {
                range: fit(range)?,
                content: *content,
            },
            Op::WriteZeroes(range) if able.write_zeroes => Op::WriteZeroes(fit(range)?),
            Op::Discard(range) if able.discards.is_some() => Op::Discard(fit(range)?),
            Op::Resize(to) => {
                let to = to.0.next_multiple_of(align.max(SECTOR));
                let least = if to < size {
                    Resizes::Any
                } else {
                    Resizes::Grow
                };
                let is_able = to == size || able.resizes >= least;
                return is_able.then_some(Op::Resize(to.into()));
            }
            Op::DropCaches if able.drop_caches => Op::DropCaches,
            Op::Sync if !able.flush_syncs => Op::Sync,
            Op::Flush => Op::Flush,
            Op::WriteZeroes(_) | Op::Discard(_) | Op::DropCaches | Op::Sync => return None,
        })
    }

    /// Makes a request once; tells whether there is nothing to try again.
    fn attempt(&mut self, number: StepNumber, op: &Op) -> Result<bool, Stop> {
        let Some(mut image) = self.image.take() else {
            return Ok(true);
        };
        let mut data = self.data(op, number);
        let watch = self.watch.clone();
        let result = watch.call(|| image.request(request(op, &mut data)));
        self.image = Some(image);
        let has_fired = self.has_fired();
        let answer = match &result {
            Ok(Ok(Handled::All)) => "done".to_owned(),
            Ok(Ok(Handled::Part(part))) => format!("done, {part} bytes of it"),
            Ok(Err(error)) => format!("failed: {error}"),
            Err(Unwound::Lost) => "cut off".to_owned(),
            Err(Unwound::Endless) => "does not end".to_owned(),
            Err(Unwound::Panic(message)) => format!("panic: {message}"),
        };
        self.answers.push((number, answer));
        match result {
            Ok(result) if !self.store.is_off() => {
                self.answered(number, op, &data, result, has_fired)
            }
            Ok(_) | Err(Unwound::Lost) => {
                self.model.failed(op, number);
                self.lose()?;
                Ok(true)
            }
            Err(unwound) => {
                self.model.failed(op, number);
                Err(self.broken(unwound))
            }
        }
    }

    /// Judges what a request was answered.
    fn answered(
        &mut self,
        number: StepNumber,
        op: &Op,
        data: &[u8],
        result: Result<Handled, RequestError>,
        has_fired: bool,
    ) -> Result<bool, Stop> {
        let is_done = match result {
            Ok(Handled::All) => {
                self.model.done(op, number);
                if let Op::Read(range) = op {
                    self.compare(range.start, data, Property::ReadsExact);
                }
                true
            }
            Ok(Handled::Part(part)) => {
                self.model.failed(op, number);
                self.note(Property::SuccessWhole, format!("{part} bytes were handled"));
                false
            }
            Err(error) => {
                self.model.failed(op, number);
                if !has_fired {
                    self.note(Property::ErrorsCaused, error.to_string());
                }
                false
            }
        };
        let size = self.image.as_ref().map(|image| image.size().0);
        if let Some(size) = size.filter(|size| !self.model.may_have_size(*size)) {
            self.note(Property::SizeExact, format!("its size is {size}"));
        }
        Ok(is_done)
    }

    /// Ends a run whose library did not come back.
    pub(super) fn broken(&mut self, unwound: Unwound) -> Stop {
        match unwound {
            Unwound::Panic(message) => self.note(Property::NoCrash, message),
            _ => self.note(Property::Ends, "its requests to its devices do not end"),
        }
        self.store.kill();
        self.watch.abandon(self.image.take());
        self.stop()
    }

    pub(super) fn see_size(&mut self, size: u64) {
        if !self.model.sees_size(size) {
            self.note(Property::SizeExact, format!("its size is {size}"));
        }
    }

    /// Compares what was read.
    pub(super) fn compare(&mut self, position: u64, data: &[u8], property: Property) {
        let wrong = self.model.sees(position, data);
        if let Some(first) = wrong.first() {
            self.find(Finding {
                property,
                seen: format!("wrong contents: {}", first.kind()),
                wrong,
            });
        }
    }

    /// Closes the image and opens it.
    pub(super) fn reopen(&mut self) -> Result<(), Stop> {
        self.close()?;
        self.judged()?;
        if self.image.is_none() {
            self.open()?;
        }
        Ok(())
    }

    /// Closes the image, and has others look at its file.
    pub(super) fn close(&mut self) -> Result<(), Stop> {
        let Some(image) = self.image.take() else {
            return Ok(());
        };
        let watch = self.watch.clone();
        let result = watch.call(|| image.close());
        let has_fired = self.has_fired();
        match result {
            Ok(_) if self.store.is_off() => return self.lose(),
            Err(Unwound::Lost) => return self.lose(),
            Err(unwound) => return Err(self.broken(unwound)),
            Ok(Ok(())) => self.model.flushed(),
            Ok(Err(error)) => {
                if !has_fired {
                    self.note(Property::ErrorsCaused, format!("closing: {error}"));
                }
                // Nobody has in memory any more what could not be written back.
                self.model.killed();
            }
        }
        self.inspect(Property::SameForOthers)
    }

    /// Opens the image. Where a fault keeps the library from it, it tries again; without faults it
    /// must not fail.
    pub(super) fn open(&mut self) -> Result<(), Stop> {
        for attempt in 0..=ATTEMPTS {
            if attempt == ATTEMPTS {
                self.store.lift_all();
            }
            let result = self.try_open()?;
            let has_fired = self.has_fired();
            match result {
                Ok(Ok(_)) | Err(Unwound::Lost) if self.store.is_off() => return self.lose(),
                Ok(Ok(image)) => {
                    self.counts.opens += 1;
                    let size = image.size().0;
                    self.image = Some(image);
                    self.see_size(size);
                    return self.judged();
                }
                Ok(Err(_)) if self.store.is_off() => return self.lose(),
                Ok(Err(_)) if has_fired => self.counts.retries += 1,
                Ok(Err(error)) => {
                    self.note(Property::OpensAgain, error.to_string());
                    return Err(self.stop());
                }
                Err(Unwound::Lost) => return self.lose(),
                Err(unwound) => return Err(self.broken(unwound)),
            }
        }
        self.note(Property::OpensAgain, "it does not open without faults");
        Err(self.stop())
    }

    #[expect(clippy::type_complexity, reason = "how calls of a library end")]
    fn try_open(&mut self) -> Result<Result<Result<Box<dyn Image>, RequestError>, Unwound>, Stop> {
        let setup = &self.scenario.setup;
        let options = OpenOptions {
            align: setup.align,
            cache: setup.cache,
            cluster: setup.cluster,
        };
        let below = setup.base;
        let image = self.device(&file())?;
        let base = match below {
            Some(below) => Some((self.device(&base())?, below.format)),
            None => None,
        };
        let files = Files { image, base };
        let library = &mut self.judge.library;
        Ok(self.watch.call(|| library.open(files, &options)))
    }

    /// Returns what a request carries, or room for what it reads.
    fn data(&self, op: &Op, number: StepNumber) -> Vec<u8> {
        let (range, is_write) = match op {
            Op::Read(range) => (*range, false),
            Op::Write { range, .. } => (*range, true),
            _ => (ByteRange::default(), false),
        };
        let mut data = vec![UNREAD; usize::try_from(range.len).unwrap_or(0)];
        if is_write {
            written(op, number).generate(range.start, &mut data);
        }
        data
    }
}

/// Makes a request of what a scenario says.
fn request<'a>(op: &Op, data: &'a mut [u8]) -> Request<'a> {
    match op {
        Op::Read(range) => Request::Read {
            offset: Offset(range.start),
            buf: data,
        },
        Op::Write { range, .. } => Request::Write {
            offset: Offset(range.start),
            data,
        },
        Op::WriteZeroes(range) => Request::WriteZeroes(*range),
        Op::Discard(range) => Request::Discard(*range),
        Op::Flush => Request::Flush,
        Op::Sync => Request::Sync,
        Op::Resize(size) => Request::Resize(*size),
        Op::DropCaches => Request::DropCaches,
    }
}
