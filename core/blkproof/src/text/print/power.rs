//! Losses of power.

use blkproof_spec::power::{Cache, Lost, Moment, PowerCut, Rest, TornUnit};
use blkproof_spec::{ByteRange, ImageName};

use super::super::table::{self, word};
use super::fault::kept;
use super::words::{Words, name, number};

pub(crate) fn moment(out: &mut Words, at: Option<Moment>) {
    out.maybe("at", at.map(|at| number(at.0)));
}

pub(crate) fn cut(out: &mut Words, cut: &PowerCut) {
    out.option("lost", lost(&cut.lost));
    if let Some(torn) = cut.torn {
        out.option("torn", kept(torn.kept));
        if torn.unit != TornUnit::default() {
            out.option("unit", word(table::TORN_UNIT, &torn.unit));
        }
        out.flag("garbage", torn.rest == Rest::Garbage);
    }
    moment(out, cut.at);
}

fn lost(lost: &Lost) -> String {
    match lost {
        Lost::All => "all".to_owned(),
        Lost::None => "none".to_owned(),
        Lost::Worst => "worst".to_owned(),
        Lost::Reordered => "reordered".to_owned(),
        Lost::From(operation) => format!("from({})", number(*operation)),
        Lost::Only(operation) => format!("only({})", number(*operation)),
        Lost::Some(seed) => format!("some({})", number(*seed)),
        Lost::These(parts) => {
            let parts: Vec<_> = parts.iter().map(place).collect();
            format!("these({})", parts.join(","))
        }
    }
}

fn place((image, range): &(ImageName, ByteRange)) -> String {
    let (start, len) = (number(range.start), number(range.len));
    format!("{}:{start}+{len}", name(image.as_str()))
}

pub(super) fn cache(out: &mut Words, cache: Cache) {
    out.word("cache");
    out.flag("ordered", cache.ordered);
    if cache.atomic != Cache::default().atomic {
        out.option("atomic", number(cache.atomic.0));
    }
}
