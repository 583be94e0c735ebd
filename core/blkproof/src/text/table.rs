//! The words of the language that stand for values: one table for parsing, printing and suggesting.

use blkproof_spec::fault::Kept;
use blkproof_spec::power::TornUnit;
use blkproof_spec::scenario::Role;
use blkproof_spec::step::{BitmapMode, CompletionMode, ErrorPolicy, Sync};
use blkproof_spec::{DiscardMode, ErrorAction, Format, IoStatus, Side};

/// A table of words with their values.
pub(crate) type Table<T> = &'static [(&'static str, T)];

/// Returns the word of `value`, which is in the table.
pub(crate) fn word<T: PartialEq>(table: Table<T>, value: &T) -> &'static str {
    table
        .iter()
        .find(|(_, known)| known == value)
        .map_or("", |(word, _)| *word)
}

pub(crate) const FORMAT: Table<Format> = &[("qcow2", Format::Qcow2), ("raw", Format::Raw)];

pub(crate) const DISCARD: Table<DiscardMode> = &[
    ("unmap", DiscardMode::Unmap),
    ("ignore", DiscardMode::Ignore),
];

pub(crate) const ROLE: Table<Role> = &[
    ("device", Role::Device),
    ("node", Role::Node),
    ("image", Role::Image),
];

pub(crate) const SYNC: Table<Sync> = &[
    ("full", Sync::Full),
    ("top", Sync::Top),
    ("none", Sync::None),
    ("incremental", Sync::Incremental),
    ("bitmap", Sync::Bitmap),
];

pub(crate) const BITMAP_MODE: Table<BitmapMode> = &[
    ("on-success", BitmapMode::OnSuccess),
    ("never", BitmapMode::Never),
    ("always", BitmapMode::Always),
];

pub(crate) const ERROR_POLICY: Table<ErrorPolicy> = &[
    ("report", ErrorPolicy::Report),
    ("ignore", ErrorPolicy::Ignore),
    ("enospc", ErrorPolicy::Enospc),
    ("stop", ErrorPolicy::Stop),
    ("auto", ErrorPolicy::Auto),
];

pub(crate) const COMPLETION: Table<CompletionMode> = &[
    ("individual", CompletionMode::Individual),
    ("grouped", CompletionMode::Grouped),
];

pub(crate) const IO_STATUS: Table<IoStatus> = &[
    ("ok", IoStatus::Ok),
    ("failed", IoStatus::Failed),
    ("nospace", IoStatus::Nospace),
];

pub(crate) const SIDE: Table<Side> = &[("read", Side::Read), ("write", Side::Write)];

pub(crate) const ERROR_ACTION: Table<ErrorAction> = &[
    ("report", ErrorAction::Report),
    ("ignore", ErrorAction::Ignore),
    ("stop", ErrorAction::Stop),
];

pub(crate) const YES_NO: Table<bool> = &[("yes", true), ("no", false)];

/// Who finalizes or dismisses a job: itself or a command.
pub(crate) const AUTO_MANUAL: Table<bool> = &[("auto", true), ("manual", false)];

/// The sectors of a torn write that are kept, but for `some(SEED)`.
pub(crate) const KEPT: Table<Kept> = &[
    ("left", Kept::Left),
    ("right", Kept::Right),
    ("middle", Kept::Middle),
];

/// The units in which a power cut tears an operation.
pub(crate) const TORN_UNIT: Table<TornUnit> = &[("512", TornUnit::Sector), ("4k", TornUnit::Page)];
