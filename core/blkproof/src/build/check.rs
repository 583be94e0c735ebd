//! Checks.

use blkproof_spec::step::{Action, BitmapPattern, Check, EventPattern, JobPattern, Reference};
use blkproof_spec::{BitmapName, ImageName, JobName};

use super::{IntoAt, ScenarioBuilder};

/// Checks.
impl ScenarioBuilder {
    /// An image, through its chain, must equal what the disk or image `reference` holds now.
    pub fn check_image(self, image: &str, reference: &str) -> Self {
        let equals = Reference::Now(ImageName::new(reference));
        let image = ImageName::new(image);
        self.check(Check::Image { image, equals })
    }

    /// An image, through its chain, must equal what the disk held at the job's point in time.
    pub fn check_point(self, image: &str, disk: &str, job: &str) -> Self {
        let equals = Reference::Point {
            disk: ImageName::new(disk),
            job: JobName::new(job),
        };
        let image = ImageName::new(image);
        self.check(Check::Image { image, equals })
    }

    /// A bitmap must be reported so.
    pub fn check_bitmap(self, at: impl IntoAt, name: &str, report: BitmapPattern) -> Self {
        self.check(Check::Bitmap {
            at: at.into_at(),
            name: BitmapName::new(name),
            report,
        })
    }

    /// A job must be reported so.
    pub fn check_job(self, job: &str, report: JobPattern) -> Self {
        let job = JobName::new(job);
        self.check(Check::Job { job, report })
    }

    /// The job's next event, status changes left out, must be this one.
    pub fn check_event(self, job: &str, event: EventPattern) -> Self {
        let job = JobName::new(job);
        self.check(Check::Event { job, event })
    }

    /// No job must be reported.
    pub fn check_no_jobs(self) -> Self {
        self.check(Check::NoJobs)
    }

    /// No event but status changes must be left unchecked.
    pub fn check_no_events(self) -> Self {
        self.check(Check::NoEvents)
    }

    /// Checks anything.
    pub fn check(self, check: Check) -> Self {
        self.step(Action::Check(check))
    }
}
