//! Names in the making: a stem and a number, cheap to keep and compare.

use blkproof_spec::{At, BitmapName, ImageName, JobName, RequestId, RuleName, Tag};

/// A name: a stem, and a number behind it.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) struct Label {
    pub(super) stem: &'static str,
    pub(super) number: u32,
}

impl Label {
    pub(super) const fn new(stem: &'static str, number: u32) -> Self {
        Self { stem, number }
    }

    pub(super) fn image(self) -> ImageName {
        ImageName::numbered(self.stem, self.number)
    }

    pub(super) fn bitmap(self) -> BitmapName {
        BitmapName::numbered(self.stem, self.number)
    }

    pub(super) fn job(self) -> JobName {
        JobName::numbered(self.stem, self.number)
    }

    pub(super) fn request(self) -> RequestId {
        RequestId::numbered(self.stem, self.number)
    }

    pub(super) fn rule(self) -> RuleName {
        RuleName::numbered(self.stem, self.number)
    }

    pub(super) fn tag(self) -> Tag {
        Tag::numbered(self.stem, self.number)
    }

    pub(super) fn device(self) -> At {
        At::Device(self.image())
    }
}
