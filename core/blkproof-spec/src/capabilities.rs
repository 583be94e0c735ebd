//! What a subject can do and what it claims.

/// What a subject can do and what it claims, so that it is asked for no more.
///
/// Each field that is false removes steps from what is generated or relaxes what is judged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a capability of its own"
)]
pub struct Capabilities {
    /// It reports bitmaps through its status.
    pub bitmap_status: bool,
    /// Its status tells the dirty ranges, not only counts.
    pub dirty_ranges: bool,
    /// It emits events.
    pub events: bool,
    /// Its jobs can be advanced unit by unit.
    pub stepwise: bool,
    /// It has transactions.
    pub transactions: bool,
    /// It takes requests that stay in flight.
    pub in_flight: bool,
    /// It places layers above the format where the store asks for it.
    pub faults_above_format: bool,
    /// It resizes disks.
    pub resize: bool,
    /// It can be restarted.
    pub restart: bool,
    /// It stores persistent bitmaps.
    pub persistent: bool,
    /// It can be killed at any moment: what it had open is dropped as it is, and it opens its disks
    /// again.
    pub power: bool,
    /// What it has not flushed may turn out to hold anything at all after a loss of power.
    pub unflushed_arbitrary: bool,
    /// It may decline, as unsupported, any step but a guest's plain read, write or flush: what it
    /// does not decline is judged.
    pub declines: bool,
}

impl Capabilities {
    /// Everything: what the built-in engine can do.
    pub const FULL: Self = Self {
        bitmap_status: true,
        dirty_ranges: true,
        events: true,
        stepwise: true,
        transactions: true,
        in_flight: true,
        faults_above_format: true,
        resize: true,
        restart: true,
        persistent: true,
        power: true,
        unflushed_arbitrary: false,
        declines: false,
    };

    /// Nothing beyond reads, writes, full and incremental backups.
    pub const MINIMAL: Self = Self {
        bitmap_status: false,
        dirty_ranges: false,
        events: false,
        stepwise: false,
        transactions: false,
        in_flight: false,
        faults_above_format: false,
        resize: false,
        restart: false,
        persistent: false,
        power: false,
        unflushed_arbitrary: false,
        declines: true,
    };
}
