//! Steps about disks: guest requests, bitmaps, images.

use blkproof_spec::content::Content;
use blkproof_spec::step::{Action, BitmapCommand, BitmapStep, Create, GuestOp, Work};
use blkproof_spec::{BitmapName, ByteRange, Format, Geometry, ImageName, Length, RequestId, Units};

use super::{IntoAt, ScenarioBuilder};

/// Guest requests.
impl ScenarioBuilder {
    /// Writes.
    ///
    /// # Panics
    ///
    /// If the range ends above 2^64, as all calls that take a range do.
    pub fn write(self, at: impl IntoAt, start: u64, len: u64, content: Content) -> Self {
        self.guest(at, write_op(start, len, content))
    }

    /// Writes zeroes; `unmap` allows to give up clusters.
    pub fn write_zeroes(self, at: impl IntoAt, start: u64, len: u64, unmap: bool) -> Self {
        let range = ByteRange::new(start, len);
        self.guest(at, GuestOp::WriteZeroes { range, unmap })
    }

    /// Discards.
    pub fn discard(self, at: impl IntoAt, start: u64, len: u64) -> Self {
        let range = ByteRange::new(start, len);
        self.guest(at, GuestOp::Discard { range })
    }

    /// Reads.
    pub fn read(self, at: impl IntoAt, start: u64, len: u64) -> Self {
        let range = ByteRange::new(start, len);
        self.guest(at, GuestOp::Read { range })
    }

    /// Makes durable what was acknowledged.
    pub fn flush(self, at: impl IntoAt) -> Self {
        self.guest(at, GuestOp::Flush)
    }

    /// Carries out any guest request.
    pub fn guest(self, at: impl IntoAt, op: GuestOp) -> Self {
        let at = at.into_at();
        self.step(Action::Guest { at, op })
    }

    /// Submits a write that stays in flight under the name `request`.
    pub fn start_write(
        self,
        request: &str,
        at: impl IntoAt,
        start: u64,
        len: u64,
        content: Content,
    ) -> Self {
        self.start(request, at, write_op(start, len, content))
    }

    /// Submits any guest request, which stays in flight under the name `request`.
    pub fn start(self, request: &str, at: impl IntoAt, op: GuestOp) -> Self {
        self.step(Action::Start {
            request: RequestId::new(request),
            at: at.into_at(),
            op,
        })
    }

    /// Does `units` of a request's work.
    pub fn advance_request(self, request: &str, units: u64) -> Self {
        let work = Work::Request(RequestId::new(request));
        let units = Units(units);
        self.step(Action::Advance { work, units })
    }

    /// Carries a request in flight to its end.
    pub fn settle(self, request: &str) -> Self {
        let request = RequestId::new(request);
        self.step(Action::Settle { request })
    }

    /// Changes a disk's size.
    pub fn resize(self, at: impl IntoAt, size: u64) -> Self {
        let at = at.into_at();
        let size = Length(size);
        self.step(Action::Resize { at, size })
    }
}

fn write_op(start: u64, len: u64, content: Content) -> GuestOp {
    GuestOp::Write {
        range: ByteRange::new(start, len),
        content,
        fua: false,
        compressed: false,
    }
}

/// Bitmaps.
impl ScenarioBuilder {
    /// Adds a bitmap of the granularity that the image decides.
    pub fn bitmap_add(self, at: impl IntoAt, name: &str) -> Self {
        self.bitmap(at, name, add(None))
    }

    /// Adds a bitmap of this granularity, in bytes per bit.
    pub fn bitmap_add_with(self, at: impl IntoAt, name: &str, granularity: u64) -> Self {
        self.bitmap(at, name, add(Some(Length(granularity))))
    }

    /// Removes a bitmap.
    pub fn bitmap_remove(self, at: impl IntoAt, name: &str) -> Self {
        self.bitmap(at, name, BitmapCommand::Remove)
    }

    /// Clears a bitmap.
    pub fn bitmap_clear(self, at: impl IntoAt, name: &str) -> Self {
        self.bitmap(at, name, BitmapCommand::Clear)
    }

    /// Has a bitmap record from now on.
    pub fn bitmap_enable(self, at: impl IntoAt, name: &str) -> Self {
        self.bitmap(at, name, BitmapCommand::Enable)
    }

    /// Has a bitmap record no more.
    pub fn bitmap_disable(self, at: impl IntoAt, name: &str) -> Self {
        self.bitmap(at, name, BitmapCommand::Disable)
    }

    /// Adds the bits of other bitmaps of the same disk.
    pub fn bitmap_merge(self, at: impl IntoAt, name: &str, sources: &[&str]) -> Self {
        let sources = sources.iter().map(|source| (None, BitmapName::new(source)));
        let sources = sources.collect();
        self.bitmap(at, name, BitmapCommand::Merge { sources })
    }

    /// Gives any bitmap command.
    pub fn bitmap(self, at: impl IntoAt, name: &str, command: BitmapCommand) -> Self {
        self.step(Action::Bitmap(bitmap_step(at, name, command)))
    }
}

fn add(granularity: Option<Length>) -> BitmapCommand {
    BitmapCommand::Add {
        granularity,
        persistent: false,
        disabled: false,
    }
}

pub(super) fn bitmap_step(at: impl IntoAt, name: &str, command: BitmapCommand) -> BitmapStep {
    BitmapStep {
        at: at.into_at(),
        name: BitmapName::new(name),
        command,
    }
}

/// Images.
impl ScenarioBuilder {
    /// Creates a qcow2 image of `size` bytes without backing file.
    pub fn create(self, image: &str, size: u64) -> Self {
        self.create_with(Create {
            size: Some(Length(size)),
            ..new_image(image)
        })
    }

    /// Creates a qcow2 image on top of `backing`, of its size.
    pub fn create_on(self, image: &str, backing: &str) -> Self {
        self.create_with(Create {
            backing: Some(ImageName::new(backing)),
            ..new_image(image)
        })
    }

    /// Creates any image.
    pub fn create_with(self, create: Create) -> Self {
        self.step(Action::Create(create))
    }

    /// Changes the backing file in an image's header.
    pub fn rebase(self, image: &str, backing: Option<&str>) -> Self {
        self.step(Action::Rebase {
            image: ImageName::new(image),
            backing: backing.map(ImageName::new),
        })
    }

    /// Deletes an image.
    pub fn remove(self, image: &str) -> Self {
        let image = ImageName::new(image);
        self.step(Action::Remove { image })
    }
}

fn new_image(image: &str) -> Create {
    Create {
        image: ImageName::new(image),
        size: None,
        format: Format::Qcow2,
        cluster: Geometry::DEFAULT_CLUSTER,
        backing: None,
    }
}
