//! Image libraries as subjects: our own, those of others, and some with planted bugs.

mod campaign;

mod imago;

mod own;

mod planted;

mod qcow2_rs;

mod qemu;

mod subject;

pub use campaign::{Campaign, Found, Run, Totals};
pub use imago::Imago;
pub use own::Own;
pub use planted::{Plant, Planted};
pub use qcow2_rs::Qcow2Rs;
pub use qemu::QemuImg;
pub use subject::{Bench, Subject, corpora, scenario, scenarios};
