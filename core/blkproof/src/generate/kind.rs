//! The kinds of steps that the generator makes up.

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $name:literal),+ $(,)?) => {
        /// A kind of step that the generator makes up, often with others that belong to it.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[non_exhaustive]
        pub enum Kind { $($(#[$doc])* $variant),+ }

        impl Kind {
            /// All kinds, the simplest first.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Returns its name, by which profiles weigh it.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }
    };
}

kinds! {
    /// Data is written.
    Write = "write",
    /// Zeroes are written.
    Zeroes = "zeroes",
    /// Data is given up.
    Discard = "discard",
    /// Data is read.
    Read = "read",
    /// What was written is made durable.
    Flush = "flush",
    /// A disk gets another size.
    Resize = "resize",
    /// A bitmap command.
    Bitmap = "bitmap",
    /// A backup of everything, of the top image, or of what the guest overwrites.
    Full = "full",
    /// A backup of what a bitmap says.
    Incremental = "incremental",
    /// A command to a job, or the run to its end.
    Job = "job",
    /// Some units of a job's work.
    Advance = "advance",
    /// Several actions at one moment.
    Transaction = "transaction",
    /// Fault rules are installed.
    Fault = "fault",
    /// Fault rules are lifted.
    Lift = "lift",
    /// Requests that stay in flight while other steps happen.
    InFlight = "in-flight",
    /// A request is suspended, and later resumed.
    Breakpoint = "breakpoint",
    /// Virtual time passes.
    Time = "time",
    /// Images are made, rebased, removed.
    Image = "image",
    /// A clean restart.
    Restart = "restart",
    /// A step that has to be refused, marked as such.
    Illegal = "illegal",
    /// A job that errors stop, and that goes on when they are over.
    Recover = "recover",
    /// A job that its speed limit holds up, and that goes on without one.
    Throttle = "throttle",
    /// New bitmaps take in what others have dirty, and are backed up by.
    Collect = "collect",
    /// A command that asks something of an image right under a fault.
    Strike = "strike",
    /// A step of one of many kinds that asks something of an image, and a fault that it meets.
    Meet = "meet",
    /// Commands while something slow holds a job or a request.
    Hold = "hold",
    /// A bitmap that is stored, over a restart.
    Outlive = "outlive",
    /// The process is killed, now or in the midst of a later step.
    Kill = "kill",
    /// The power is cut, now or in the midst of a later step.
    PowerCut = "power-cut",
}

/// How many kinds there are.
pub(super) const KINDS: usize = Kind::ALL.len();
