//! The kinds of steps that the table tells apart.

use blkproof_spec::step::{Action, BitmapCommand, CompletionMode, GuestOp, JobVerb, Sync, Work};

use super::dimension;

dimension! {
    /// What is done.
    #[allow(missing_docs, reason = "each is documented by the name that the table shows")]
    StepKind {
        Write = "write",
        WriteCompressed = "write compressed",
        WriteZeroes = "write-zeroes",
        Discard = "discard",
        Read = "read",
        Flush = "flush",
        Start = "start",
        AdvanceRequest = "advance-request",
        Settle = "settle",
        Resize = "resize",
        BitmapAdd = "bitmap add",
        BitmapRemove = "bitmap remove",
        BitmapClear = "bitmap clear",
        BitmapEnable = "bitmap enable",
        BitmapDisable = "bitmap disable",
        BitmapMerge = "bitmap merge",
        Create = "create",
        Rebase = "rebase",
        Remove = "remove",
        Full = "backup full",
        Top = "backup top",
        None = "backup none",
        Incremental = "backup incremental",
        Bitmap = "backup bitmap",
        Pause = "job pause",
        Resume = "job resume",
        Cancel = "job cancel",
        CancelForce = "job cancel force",
        Complete = "job complete",
        Finalize = "job finalize",
        Dismiss = "job dismiss",
        SetSpeed = "job set-speed",
        Advance = "advance",
        Finish = "finish",
        Individual = "transaction individual",
        Grouped = "transaction grouped",
        Tick = "tick",
        Install = "fault",
        Lift = "lift",
        LiftAll = "lift-all",
        WaitFor = "wait-for",
        ResumeTag = "resume",
        Restart = "restart",
        Kill = "kill",
        PowerCut = "power-cut",
    }
}

impl StepKind {
    /// Returns the kind of a step; a check is none, since nothing happens in it.
    pub(super) fn of(action: &Action) -> Option<Self> {
        Some(match action {
            Action::Guest { op, .. } => Self::of_op(op),
            Action::Start { .. } => Self::Start,
            Action::Settle { .. } => Self::Settle,
            Action::Resize { .. } => Self::Resize,
            Action::Bitmap(step) => Self::of_command(&step.command),
            Action::Create(_) => Self::Create,
            Action::Rebase { .. } => Self::Rebase,
            Action::Remove { .. } => Self::Remove,
            Action::Backup { backup, .. } => match backup.sync {
                Sync::Full => Self::Full,
                Sync::Top => Self::Top,
                Sync::None => Self::None,
                Sync::Incremental => Self::Incremental,
                Sync::Bitmap => Self::Bitmap,
            },
            Action::Job { verb, .. } => Self::of_verb(*verb),
            Action::Advance { work, .. } => match work {
                Work::Job(_) => Self::Advance,
                Work::Request(_) => Self::AdvanceRequest,
            },
            Action::Finish { .. } => Self::Finish,
            Action::Transaction { mode, .. } => match mode {
                CompletionMode::Individual => Self::Individual,
                CompletionMode::Grouped => Self::Grouped,
            },
            Action::Tick(_) => Self::Tick,
            Action::Install(_) => Self::Install,
            Action::Lift(_) => Self::Lift,
            Action::LiftAll => Self::LiftAll,
            Action::WaitFor(_) => Self::WaitFor,
            Action::ResumeTag(_) => Self::ResumeTag,
            Action::Restart => Self::Restart,
            Action::Kill { .. } => Self::Kill,
            Action::PowerCut(_) => Self::PowerCut,
            _ => return None,
        })
    }

    fn of_op(op: &GuestOp) -> Self {
        match op {
            GuestOp::Write {
                compressed: true, ..
            } => Self::WriteCompressed,
            GuestOp::Write { .. } => Self::Write,
            GuestOp::WriteZeroes { .. } => Self::WriteZeroes,
            GuestOp::Discard { .. } => Self::Discard,
            GuestOp::Read { .. } => Self::Read,
            GuestOp::Flush => Self::Flush,
        }
    }

    fn of_command(command: &BitmapCommand) -> Self {
        match command {
            BitmapCommand::Add { .. } => Self::BitmapAdd,
            BitmapCommand::Remove => Self::BitmapRemove,
            BitmapCommand::Clear => Self::BitmapClear,
            BitmapCommand::Enable => Self::BitmapEnable,
            BitmapCommand::Disable => Self::BitmapDisable,
            BitmapCommand::Merge { .. } => Self::BitmapMerge,
        }
    }

    fn of_verb(verb: JobVerb) -> Self {
        match verb {
            JobVerb::Pause => Self::Pause,
            JobVerb::Resume => Self::Resume,
            JobVerb::Cancel { force: false } => Self::Cancel,
            JobVerb::Cancel { force: true } => Self::CancelForce,
            JobVerb::Complete => Self::Complete,
            JobVerb::Finalize => Self::Finalize,
            JobVerb::Dismiss => Self::Dismiss,
            JobVerb::SetSpeed(_) => Self::SetSpeed,
        }
    }
}
