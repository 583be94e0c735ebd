//! Inputs that are QEMU's configuration files for `blkdebug`.

use blkproof::device::ini;
use blkproof::spec::fault::Rule;
use blkproof::spec::step::Action;
use blkproof::spec::{FaultRule, ImageName, Layer, Place, Scenario, Step};
use blkproof::text;

use crate::judge;

/// How many rules are armed.
const RULES_MAX: usize = 64;

/// What is done under the rules of a file; nothing is stated, for the model knows what follows.
const STEPS: &str = "\
blkproof 1
limit units-per-step=8192
disk drive0 1M qcow2
bitmap add drive0 b0 expect=any
write drive0 0 128k stamp expect=any
write drive0 960k 64k stamp expect=any
backup drive0 full to=full0 expect=any
write-zeroes drive0 64k 64k expect=any
discard drive0 0 64k expect=any
write drive0 512k 512 stamp expect=any
flush drive0 expect=any
resize drive0 1088k expect=any
backup drive0 incremental bitmap=b0 to=inc0 job=j0 start expect=any
advance j0 3 expect=any
write drive0 512k 64k stamp expect=any
finish j0 expect=any
read drive0 0 1M expect=any
restart expect=any
write drive0 0 64k stamp expect=any
backup drive0 full to=full1 expect=any
";

/// Reads the bytes as a configuration file. What is wrong with it is told with its place; what is
/// right is written in a form that reads the same again, and then armed below a disk that is
/// written, backed up and restarted before the judge.
///
/// # Panics
///
/// Where that is not so, or something does not hold under these rules.
pub fn blkdebug_config(bytes: &[u8]) -> bool {
    let rules = match ini::parse(bytes) {
        Ok(rules) => rules,
        Err(error) => {
            assert!(error.line >= 1 && error.column >= 1, "{error}");
            assert!(!error.to_string().is_empty());
            return true;
        }
    };
    let printed = ini::print(&rules)
        .unwrap_or_else(|index| panic!("rule {index} was read and cannot be written: {rules:?}"));
    assert_eq!(ini::parse(printed.as_bytes()).as_ref(), Ok(&rules));
    rules.len() <= RULES_MAX && judge::prove(&under(&rules))
}

/// Returns the steps with these rules in front of them, below the format of the disk.
fn under(rules: &[Rule]) -> Scenario {
    let mut scenario = text::parse(STEPS.as_bytes()).expect("the steps are a scenario");
    let installs = rules.iter().map(|rule| {
        let rule = FaultRule {
            name: None,
            place: Place {
                image: ImageName::new("drive0"),
                layer: Layer::File,
            },
            rule: rule.clone(),
        };
        Step::new(Action::Install(rule))
    });
    scenario.steps.splice(0..0, installs);
    scenario
}
