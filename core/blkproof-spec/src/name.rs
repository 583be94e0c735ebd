//! Names of disks, bitmaps, jobs and the rest, each kind with a type of its own.

use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};
use std::sync::Arc;

const INLINE: usize = 22;

/// The first length of a stem that leaves no room for a digit.
const SHORT: u8 = 22;

/// A short text, cheap to copy about: up to 22 bytes are stored in place.
#[derive(Clone)]
pub struct Name(Repr);

#[derive(Clone)]
enum Repr {
    /// The bytes behind the text are zero.
    Inline {
        len: u8,
        bytes: [u8; INLINE],
    },
    Shared(Arc<str>),
}

impl Name {
    /// Makes a name of `text`, of any length, also empty.
    #[must_use]
    pub fn new(text: &str) -> Self {
        match u8::try_from(text.len()) {
            Ok(len) if text.len() <= INLINE => {
                let mut bytes = [0; INLINE];
                bytes[..text.len()].copy_from_slice(text.as_bytes());
                Self(Repr::Inline { len, bytes })
            }
            _ => Self(Repr::Shared(Arc::from(text))),
        }
    }

    /// Makes a name of `stem` and a decimal number.
    #[must_use]
    #[inline]
    pub fn numbered(stem: &str, number: u32) -> Self {
        // Nearly all numbers have one digit, and nearly all stems are known where this is called.
        if let Ok(digit @ 0..=9) = u8::try_from(number)
            && let Ok(at @ 0..SHORT) = u8::try_from(stem.len())
        {
            let mut bytes = [0; INLINE];
            bytes[..stem.len()].copy_from_slice(stem.as_bytes());
            bytes[stem.len()] = b'0' + digit;
            return Self(Repr::Inline { len: at + 1, bytes });
        }
        Self::numbered_at_length(stem, number)
    }

    fn numbered_at_length(stem: &str, number: u32) -> Self {
        let digits = match number {
            0..=9 => 1,
            number => number.ilog10() as usize + 1,
        };
        let len = stem.len() + digits;
        if len > INLINE {
            return Self::new(&format!("{stem}{number}"));
        }
        let mut bytes = [0; INLINE];
        bytes[..stem.len()].copy_from_slice(stem.as_bytes());
        let mut left = number;
        for digit in bytes[stem.len()..len].iter_mut().rev() {
            *digit = b"0123456789"[(left % 10) as usize];
            left /= 10;
        }
        let len = u8::try_from(len).expect("a short name");
        Self(Repr::Inline { len, bytes })
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(self.as_bytes()).expect("a name is made of text")
    }

    fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Repr::Inline { len, bytes } => &bytes[..usize::from(*len)],
            Repr::Shared(text) => text.as_bytes(),
        }
    }
}

impl PartialEq for Name {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (
                Repr::Inline { len, bytes },
                Repr::Inline {
                    len: other_len,
                    bytes: other,
                },
            ) => len == other_len && bytes == other,
            _ => self.as_bytes() == other.as_bytes(),
        }
    }
}

impl Eq for Name {}

impl PartialOrd for Name {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            (
                Repr::Inline { len, bytes },
                Repr::Inline {
                    len: other_len,
                    bytes: other,
                },
            ) => by_words(bytes, other).then_with(|| len.cmp(other_len)),
            _ => self.as_bytes().cmp(other.as_bytes()),
        }
    }
}

/// Compares the bytes eight at a time: names are compared a lot, and differ in the first eight.
#[inline]
fn by_words(bytes: &[u8; INLINE], other: &[u8; INLINE]) -> Ordering {
    let word = |bytes: &[u8; INLINE], at: usize| {
        let word = bytes[at..at + 8].try_into();
        u64::from_be_bytes(word.expect("eight bytes"))
    };
    // The last word repeats two bytes of the one before, which changes no order.
    for at in [0, 8, INLINE - 8] {
        let order = word(bytes, at).cmp(&word(other, at));
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

macro_rules! kind_of_name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Name);

        impl $name {
            /// Makes a name of `text`.
            #[must_use]
            pub fn new(text: &str) -> Self {
                Self(Name::new(text))
            }

            /// Makes a name of `stem` and a decimal number, without going to the heap.
            #[must_use]
            pub fn numbered(stem: &str, number: u32) -> Self {
                Self(Name::numbered(stem, number))
            }

            /// Returns the text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::new(text)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

kind_of_name! {
    /// The name of a disk or an image: both live in one namespace, as files of the store do.
    ImageName
}
kind_of_name! {
    /// The name of a dirty bitmap, unique on its node.
    BitmapName
}
kind_of_name! {
    /// The id of a job. It stays taken until the job is dismissed.
    JobName
}
impl From<&ImageName> for JobName {
    /// A job that is given no id has its device's name.
    fn from(device: &ImageName) -> Self {
        Self(device.0.clone())
    }
}

kind_of_name! {
    /// The name of a guest request that is in flight. It is free again once settled.
    RequestId
}
kind_of_name! {
    /// The name under which a fault rule was installed, so that it can be lifted.
    RuleName
}
kind_of_name! {
    /// The tag under which a breakpoint suspends a request.
    Tag
}

#[cfg(test)]
mod tests {
    use super::Name;

    const TEXTS: [&str; 14] = [
        "",
        "\0",
        "a",
        "a\0",
        "a\0b",
        "ab",
        "b",
        "drive0",
        "drive1",
        "drive10",
        "fourteen bytes1",
        "fourteen bytes2 and on",
        "fourteen bytes2 and on, too long to lie in place",
        "zzzzzzzzzzzzzzzzzzzzzz",
    ];

    #[test]
    fn names_are_in_order_as_texts_are() {
        for one in TEXTS {
            for other in TEXTS {
                let (first, second) = (Name::new(one), Name::new(other));
                assert_eq!(first.cmp(&second), one.cmp(other), "{one:?} {other:?}");
                assert_eq!(first == second, one == other, "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn numbers_are_spelt() {
        for stem in [
            "",
            "drive",
            "a stem of twenty one b",
            "a stem that has no room at all",
        ] {
            for number in [0, 7, 9, 10, 99, 100, 1234, u32::MAX] {
                let spelt = Name::numbered(stem, number);
                assert_eq!(spelt.as_str(), format!("{stem}{number}"));
                assert_eq!(spelt, Name::new(&format!("{stem}{number}")));
            }
        }
    }
}
