//! Names in the making: a stem and a number, cheap to keep and compare.

use blkproof_spec::{At, BitmapName, ImageName, JobName, RequestId, RuleName, Tag};

/// A name: a stem of at most 8 bytes, and a number behind it.
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
        self.spell(ImageName::new)
    }

    pub(super) fn bitmap(self) -> BitmapName {
        self.spell(BitmapName::new)
    }

    pub(super) fn job(self) -> JobName {
        self.spell(JobName::new)
    }

    pub(super) fn request(self) -> RequestId {
        self.spell(RequestId::new)
    }

    pub(super) fn rule(self) -> RuleName {
        self.spell(RuleName::new)
    }

    pub(super) fn tag(self) -> Tag {
        self.spell(Tag::new)
    }

    pub(super) fn device(self) -> At {
        At::Device(self.image())
    }

    /// Spells the name without going to the heap.
    fn spell<T>(self, make: impl FnOnce(&str) -> T) -> T {
        let mut text = [0; 20];
        let mut start = text.len();
        let mut number = self.number;
        loop {
            start -= 1;
            text[start] = b"0123456789"[usize::try_from(number % 10).unwrap_or(0)];
            number /= 10;
            if number == 0 {
                break;
            }
        }
        start -= self.stem.len();
        text[start..start + self.stem.len()].copy_from_slice(self.stem.as_bytes());
        make(core::str::from_utf8(&text[start..]).expect("stems and digits are text"))
    }
}

#[cfg(test)]
mod tests {
    use super::Label;

    #[test]
    fn names_are_spelt() {
        for number in [0, 7, 10, 1234, u32::MAX] {
            let spelt = Label::new("lasting", number).rule();
            assert_eq!(spelt.as_str(), format!("lasting{number}"));
        }
    }
}
