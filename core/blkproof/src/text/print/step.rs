//! Steps.

use blkproof_spec::content::Content;
use blkproof_spec::step::{
    Action, Backup, BitmapCommand, BitmapStep, Create, ErrorPolicy, Expect, GuestOp, JobVerb, Run,
    Step, TargetMode, TransactionAction, Work,
};
use blkproof_spec::{At, BitmapName, Geometry, Millis};

use super::super::table::{self, word};
use super::words::{Words, at, name, number};
use super::{check, fault, power};

pub(super) fn step(out: &mut Words, step: &Step) {
    action(out, &step.action);
    match step.expect {
        Expect::Done => {}
        Expect::Pending => out.option("expect", "pending"),
        Expect::Cut => out.option("expect", "cut"),
        Expect::Any => out.option("expect", "any"),
        Expect::Refused(None) => out.option("expect", "refused"),
        Expect::Refused(Some(why)) => out.option("expect", format!("refused({why})")),
        Expect::Failed(None) => out.option("expect", "failed"),
        Expect::Failed(Some(errno)) => out.option("expect", format!("failed({errno})")),
    }
}

fn action(out: &mut Words, action: &Action) {
    if let Action::Bitmap(step) = action {
        return bitmap(out, step);
    }
    if let Action::Backup { backup: job, run } = action {
        backup(out, job);
        return out.flag("start", *run == Run::Start);
    }
    if !matches!(action, Action::Guest { .. }) {
        out.word(keyword(action));
    }
    match action {
        Action::Guest { at, op } => guest(out, at, op),
        Action::Start { request, at, op } => {
            out.word(name(request.as_str()));
            guest(out, at, op);
        }
        Action::Settle { request } => out.word(name(request.as_str())),
        Action::Resize { at: disk, size } => {
            out.word(at(disk));
            out.word(number(size.0));
        }
        Action::Create(create) => new_image(out, create),
        Action::Rebase { image, backing } => {
            out.word(name(image.as_str()));
            match backing {
                Some(backing) => out.option("backing", name(backing.as_str())),
                None => out.word("no-backing"),
            }
        }
        Action::Remove { image } => out.word(name(image.as_str())),
        Action::Job { job, verb } => {
            out.word(name(job.as_str()));
            job_options(out, *verb);
        }
        Action::Advance { work, units } => {
            match work {
                Work::Job(job) => out.word(name(job.as_str())),
                Work::Request(request) => out.word(name(request.as_str())),
            }
            out.word(number(units.0));
        }
        Action::Finish { job } => out.word(name(job.as_str())),
        Action::Transaction { mode, .. } => out.word(word(table::COMPLETION, mode)),
        Action::Tick(time) => out.word(duration(*time)),
        Action::Install(rule) => fault::rule(out, rule),
        Action::Lift(rule) => out.word(name(rule.as_str())),
        Action::WaitFor(tag) | Action::ResumeTag(tag) => out.word(name(tag.as_str())),
        Action::Kill { at } => power::moment(out, *at),
        Action::PowerCut(cut) => power::cut(out, cut),
        Action::Check(what) => check::check(out, what),
        _ => {}
    }
}

/// Returns the words that begin a step.
pub(super) fn keyword(action: &Action) -> &'static str {
    match action {
        Action::Guest { op, .. } => guest_keyword(op),
        Action::Start { .. } => "start",
        Action::Settle { .. } => "settle",
        Action::Resize { .. } => "resize",
        Action::Bitmap(step) => bitmap_keyword(&step.command),
        Action::Create(_) => "create",
        Action::Rebase { .. } => "rebase",
        Action::Remove { .. } => "remove",
        Action::Backup { .. } => "backup",
        Action::Job { verb, .. } => match verb {
            JobVerb::Pause => "job pause",
            JobVerb::Resume => "job resume",
            JobVerb::Cancel { .. } => "job cancel",
            JobVerb::Complete => "job complete",
            JobVerb::Finalize => "job finalize",
            JobVerb::Dismiss => "job dismiss",
            JobVerb::SetSpeed(_) => "job set-speed",
        },
        Action::Advance { work, .. } => match work {
            Work::Job(_) => "advance",
            Work::Request(_) => "advance-request",
        },
        Action::Finish { .. } => "finish",
        Action::Transaction { .. } => "transaction",
        Action::Tick(_) => "tick",
        Action::Install(_) => "fault",
        Action::Lift(_) => "lift",
        Action::LiftAll => "lift-all",
        Action::WaitFor(_) => "wait-for",
        Action::ResumeTag(_) => "resume",
        Action::Restart => "restart",
        Action::Kill { .. } => "kill",
        Action::PowerCut(_) => "power-cut",
        Action::Check(_) => "check",
        // The vocabulary grows in the specification first: a step without text is our own bug.
        other => unreachable!("there is no text for {other:?}"),
    }
}

fn bitmap_keyword(command: &BitmapCommand) -> &'static str {
    match command {
        BitmapCommand::Add { .. } => "bitmap add",
        BitmapCommand::Remove => "bitmap remove",
        BitmapCommand::Clear => "bitmap clear",
        BitmapCommand::Enable => "bitmap enable",
        BitmapCommand::Disable => "bitmap disable",
        BitmapCommand::Merge { .. } => "bitmap merge",
    }
}

fn guest_keyword(op: &GuestOp) -> &'static str {
    match op {
        GuestOp::Write { .. } => "write",
        GuestOp::WriteZeroes { .. } => "write-zeroes",
        GuestOp::Discard { .. } => "discard",
        GuestOp::Read { .. } => "read",
        GuestOp::Flush => "flush",
    }
}

fn guest(out: &mut Words, disk: &At, op: &GuestOp) {
    out.word(guest_keyword(op));
    out.word(at(disk));
    if *op != GuestOp::Flush {
        out.range(op.range());
    }
    match op {
        GuestOp::Write {
            content,
            fua,
            compressed,
            ..
        } => {
            match content {
                Content::Fill(byte) => out.option("fill", format!("{byte:#04x}")),
                Content::Stamp => out.word("stamp"),
            }
            out.flag("fua", *fua);
            out.flag("compressed", *compressed);
        }
        GuestOp::WriteZeroes { unmap, .. } => out.flag("unmap", *unmap),
        GuestOp::Discard { .. } | GuestOp::Read { .. } | GuestOp::Flush => {}
    }
}

fn bitmap(out: &mut Words, step: &BitmapStep) {
    out.word(bitmap_keyword(&step.command));
    out.word(at(&step.at));
    out.word(name(step.name.as_str()));
    match &step.command {
        BitmapCommand::Add {
            granularity,
            persistent,
            disabled,
        } => {
            out.maybe("granularity", granularity.map(|size| number(size.0)));
            out.flag("persistent", *persistent);
            out.flag("disabled", *disabled);
        }
        BitmapCommand::Merge { sources } => {
            let sources: Vec<_> = sources.iter().map(merge_source).collect();
            out.option("from", sources.join(","));
        }
        _ => {}
    }
}

fn merge_source((disk, bitmap): &(Option<At>, BitmapName)) -> String {
    let bitmap = name(bitmap.as_str());
    match disk {
        Some(disk) => format!("{}:{bitmap}", at(disk)),
        None => bitmap,
    }
}

fn new_image(out: &mut Words, create: &Create) {
    out.word(name(create.image.as_str()));
    if let Some(size) = create.size {
        out.word(number(size.0));
    }
    out.word(word(table::FORMAT, &create.format));
    if create.cluster != Geometry::DEFAULT_CLUSTER {
        out.option("cluster", number(create.cluster.0));
    }
    out.maybe(
        "backing",
        create.backing.as_ref().map(|image| name(image.as_str())),
    );
}

fn backup(out: &mut Words, job: &Backup) {
    out.word("backup");
    out.word(at(&job.at));
    out.word(word(table::SYNC, &job.sync));
    out.maybe(
        "bitmap",
        job.bitmap.as_ref().map(|bitmap| name(bitmap.as_str())),
    );
    out.maybe(
        "bitmap-mode",
        job.bitmap_mode.map(|mode| word(table::BITMAP_MODE, &mode)),
    );
    out.option("to", name(job.target.as_str()));
    match job.mode {
        TargetMode::Create { format: None } => {}
        TargetMode::Create {
            format: Some(format),
        } => {
            out.option("format", word(table::FORMAT, &format));
        }
        TargetMode::Existing => out.option("mode", "existing"),
        TargetMode::Node => out.option("mode", "node"),
    }
    out.maybe("job", job.job.as_ref().map(|id| name(id.as_str())));
    if job.speed != 0 {
        out.option("speed", signed(job.speed));
    }
    policy(out, "on-source-error", job.on_source_error);
    policy(out, "on-target-error", job.on_target_error);
    out.maybe("min-cluster", job.min_cluster.map(|size| number(size.0)));
    out.flag("compress", job.compress);
    out.flag("finalize=manual", !job.auto_finalize);
    out.flag("dismiss=manual", !job.auto_dismiss);
}

fn policy(out: &mut Words, key: &str, policy: ErrorPolicy) {
    if policy != ErrorPolicy::Report {
        out.option(key, word(table::ERROR_POLICY, &policy));
    }
}

fn job_options(out: &mut Words, verb: JobVerb) {
    match verb {
        JobVerb::Cancel { force } => out.flag("force", force),
        JobVerb::SetSpeed(speed) => out.word(signed(speed)),
        _ => {}
    }
}

pub(super) fn signed(value: i64) -> String {
    let sign = if value < 0 { "-" } else { "" };
    format!("{sign}{}", number(value.unsigned_abs()))
}

pub(super) fn duration(time: Millis) -> String {
    if time.0 > 0 && time.0.is_multiple_of(1000) {
        format!("{}s", time.0 / 1000)
    } else {
        format!("{time}ms")
    }
}

pub(super) fn transaction_action(out: &mut Words, action: &TransactionAction) {
    match action {
        TransactionAction::Abort => out.word("abort"),
        TransactionAction::Bitmap(step) => bitmap(out, step),
        TransactionAction::Backup(job) => backup(out, job),
    }
}
