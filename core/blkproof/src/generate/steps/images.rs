//! Images that are made, rebased, removed.

use blkproof_spec::fault::When;
use blkproof_spec::step::{Action, Create};
use blkproof_spec::{Errno, Format, Geometry, IoType};

use super::{faults, meet, scenes};
use crate::generate::Choices;
use crate::generate::account::{Account, Image};
use crate::generate::label::Label;

/// Makes an image, or does something to one that nobody has open.
pub(super) fn step(account: &mut Account, disk: usize, choices: &mut Choices<'_>) {
    let count = account.images.len();
    if count == 0 || choices.chance(25) {
        return create(account, disk, choices);
    }
    let index = choices.index(count);
    let image = account.images[index];
    if account.is_open(image.name) && !choices.chance(20) {
        return create(account, disk, choices);
    }
    let image_name = image.name.image();
    if choices.chance(25) {
        forget(account, image.name);
        return account.push(Action::Remove { image: image_name });
    }
    if image.geometry.format == Format::Raw {
        return create(account, disk, choices);
    }
    rebase(account, image.name, choices);
}

/// Puts an image on another one of its size that is older, or on none.
fn rebase(account: &mut Account, name: Label, choices: &mut Choices<'_>) {
    let found = account.images.iter().position(|image| image.name == name);
    let index = found.unwrap_or(0);
    let size = found.map(|index| account.images[index].geometry.size);
    // What lies above an image in its own chain cannot be below it.
    let base = account.images[..index]
        .iter()
        .rev()
        .find(|base| Some(base.geometry.size) == size)
        .map(|base| base.name);
    let base = base.filter(|_| choices.chance(75));
    if let Some(index) = found {
        account.images[index].has_backing = base.is_some();
    }
    account.push(Action::Rebase {
        image: name.image(),
        backing: base.map(Label::image),
    });
}

/// Puts the image that was made last on another one, or on none.
pub(super) fn rebase_last(account: &mut Account, choices: &mut Choices<'_>) {
    let last = account.images.iter().last().copied();
    if let Some(last) = last.filter(|last| last.geometry.format == Format::Qcow2) {
        rebase(account, last.name, choices);
    }
}

/// Makes two images and puts one on the other, where requests to one of them fail or take time.
pub(super) fn rebase_struck(account: &mut Account, disk: usize, choices: &mut Choices<'_>) {
    let known = account.images.len();
    create(account, disk, choices);
    create(account, disk, choices);
    let made = [known, known + 1].map(|index| account.images.get(index).map(|image| image.name));
    let [Some(below), Some(above)] = made else {
        return;
    };
    let image = choices.pick(&[below, below, above]);
    let kind = choices.pick(&[IoType::Read, IoType::Read, IoType::Write, IoType::Flush]);
    let rule = if choices.chance(35) {
        meet::delay(kind, When::Always, choices)
    } else {
        scenes::error(kind, When::Always, Errno::EIO)
    };
    let rule = faults::add(account, "lasting", meet::file(image), rule);
    rebase(account, above, choices);
    faults::lift_rule(account, rule);
}

fn forget(account: &mut Account, name: Label) {
    account.images.retain(|image| image.name != name);
    for disk in &mut account.disks {
        disk.last_full = disk.last_full.filter(|kept| *kept != name);
        for bitmap in disk.bitmaps.iter_mut() {
            bitmap.base = bitmap.base.filter(|base| *base != name);
        }
    }
}

/// Makes an image that no job needs yet.
pub(super) fn create(account: &mut Account, disk: usize, choices: &mut Choices<'_>) {
    let name = account.fresh_target("image");
    let known = &account.disks[disk];
    let backing = known.last_full.filter(|_| choices.chance(50));
    let is_raw = backing.is_none() && choices.chance(30);
    let geometry = Geometry {
        format: if is_raw { Format::Raw } else { Format::Qcow2 },
        cluster: Geometry::DEFAULT_CLUSTER,
        ..known.geometry
    };
    let size = (backing.is_none() || choices.chance(50)).then_some(geometry.size);
    account.images.push(Image {
        name,
        geometry,
        has_backing: backing.is_some(),
    });
    account.push(Action::Create(Create {
        image: name.image(),
        size,
        format: geometry.format,
        cluster: geometry.cluster,
        backing: backing.map(Label::image),
    }));
}
