//! Backup jobs.

use blkproof_spec::step::{Action, Backup, Run, TargetMode};

use super::super::args::Args;
use super::super::lex::Value;
use super::super::table::{self, Table};
use super::Parsed;

/// The words of `mode=`; the format of an image that the job makes stands in `format=`.
const MODE: Table<TargetMode> = &[
    ("create", TargetMode::Create { format: None }),
    ("existing", TargetMode::Existing),
    ("node", TargetMode::Node),
];

pub(super) fn backup_step(args: &mut Args<'_>) -> Parsed<Action> {
    args.take("`backup`")?;
    let backup = Box::new(backup(args)?);
    let run = if args.flag("start") {
        Run::Start
    } else {
        Run::Finish
    };
    Ok(Action::Backup { backup, run })
}

/// Reads a backup behind its first word.
pub(super) fn backup(args: &mut Args<'_>) -> Parsed<Backup> {
    let at = args.take("a disk")?.at()?;
    let sync = args
        .take("what is copied: full, top, none, incremental or bitmap")?
        .one_of(table::SYNC)?;
    let policy = |value: Value<'_>| value.one_of(table::ERROR_POLICY);
    let target = args.required("to", Value::image)?;
    let defaults = Backup::new(at.name().clone(), sync, target);
    Ok(Backup {
        at,
        job: args.parsed("job", Value::job)?,
        bitmap: args.parsed("bitmap", Value::bitmap)?,
        bitmap_mode: args.parsed("bitmap-mode", |value| value.one_of(table::BITMAP_MODE))?,
        mode: mode(args)?,
        speed: args
            .parsed("speed", Value::speed)?
            .unwrap_or(defaults.speed),
        on_source_error: args
            .parsed("on-source-error", policy)?
            .unwrap_or(defaults.on_source_error),
        on_target_error: args
            .parsed("on-target-error", policy)?
            .unwrap_or(defaults.on_target_error),
        compress: args.flag("compress"),
        auto_finalize: by_itself(args, "finalize")?,
        auto_dismiss: by_itself(args, "dismiss")?,
        min_cluster: args.parsed("min-cluster", Value::size)?,
        ..defaults
    })
}

fn mode(args: &mut Args<'_>) -> Parsed<TargetMode> {
    let mode = args.parsed("mode", |value| value.one_of(MODE))?;
    let word = args.option("format");
    let format = word.map(|value| value.one_of(table::FORMAT)).transpose()?;
    match (mode, word) {
        (None | Some(TargetMode::Create { .. }), _) => Ok(TargetMode::Create { format }),
        (Some(mode), None) => Ok(mode),
        (Some(_), Some(word)) => Err(word.problem("no format: only `mode=create` makes an image")),
    }
}

fn by_itself(args: &mut Args<'_>, key: &'static str) -> Parsed<bool> {
    let value = args.parsed(key, |value| value.one_of(table::AUTO_MANUAL))?;
    Ok(value.unwrap_or(true))
}
