//! Image libraries as subjects: our own, those of others, and some with planted bugs.

mod campaign;

mod finds;

mod imago;

mod own;

mod planted;

mod qcow2_rs;

mod qemu;

mod subject;

mod swept;

pub use campaign::{Campaign, Found, Keep, Run, Totals};
pub use finds::Finds;
pub use imago::Imago;
pub use own::Own;
pub use planted::{Plant, Planted};
pub use qcow2_rs::Qcow2Rs;
pub use qemu::QemuImg;
pub use subject::{Bench, Subject, corpora, scenario, scenarios, supervised};
pub use swept::{Sweeps, undisturbed};
