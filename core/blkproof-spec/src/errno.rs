//! Error numbers that requests end with.

use core::fmt;

/// A Linux error number, as `blkdebug`'s `errno` takes it (positive).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Errno(pub u16);

impl Errno {
    /// Operation not permitted.
    pub const EPERM: Self = Self(1);
    /// No such file or directory.
    pub const ENOENT: Self = Self(2);
    /// Input/output error.
    pub const EIO: Self = Self(5);
    /// Cannot allocate memory.
    pub const ENOMEM: Self = Self(12);
    /// Device or resource busy.
    pub const EBUSY: Self = Self(16);
    /// Invalid argument.
    pub const EINVAL: Self = Self(22);
    /// File too large.
    pub const EFBIG: Self = Self(27);
    /// No space left on device.
    pub const ENOSPC: Self = Self(28);
    /// Operation not supported.
    pub const ENOTSUP: Self = Self(95);
    /// Operation canceled.
    pub const ECANCELED: Self = Self(125);

    const NAMES: [(Self, &'static str, &'static str); 10] = [
        (Self::EPERM, "EPERM", "Operation not permitted"),
        (Self::ENOENT, "ENOENT", "No such file or directory"),
        (Self::EIO, "EIO", "Input/output error"),
        (Self::ENOMEM, "ENOMEM", "Cannot allocate memory"),
        (Self::EBUSY, "EBUSY", "Device or resource busy"),
        (Self::EINVAL, "EINVAL", "Invalid argument"),
        (Self::EFBIG, "EFBIG", "File too large"),
        (Self::ENOSPC, "ENOSPC", "No space left on device"),
        (Self::ENOTSUP, "ENOTSUP", "Operation not supported"),
        (Self::ECANCELED, "ECANCELED", "Operation canceled"),
    ];

    /// Returns the symbolic name, such as `EIO`, where blkproof knows one.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        Self::NAMES
            .iter()
            .find(|(errno, ..)| *errno == self)
            .map(|(_, name, _)| *name)
    }

    /// Returns the text that `strerror` gives on Linux, where blkproof knows it.
    #[must_use]
    pub fn text(self) -> Option<&'static str> {
        Self::NAMES
            .iter()
            .find(|(errno, ..)| *errno == self)
            .map(|(.., text)| *text)
    }

    /// Returns the error of this symbolic name, such as `EIO`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::NAMES
            .iter()
            .find(|(_, known, _)| *known == name)
            .map(|(errno, ..)| *errno)
    }

    /// Returns all symbolic names that blkproof knows, for diagnostics.
    pub fn names() -> impl Iterator<Item = &'static str> {
        Self::NAMES.iter().map(|(_, name, _)| *name)
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => write!(f, "{}", self.0),
        }
    }
}
