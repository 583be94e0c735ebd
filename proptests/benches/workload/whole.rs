//! Whole scenarios to be judged, and the least that one of them can cost.

use std::hint::black_box;

use blkproof::spec::Scenario;
use blkproof::spec::step::Action;

use super::seed::seed;

/// The seed without its reference backups and without what looks at them.
pub(super) fn shape() -> Scenario {
    let mut scenario = seed();
    scenario.steps.retain(|step| match &step.action {
        Action::Backup { backup, .. } => !backup.target.as_str().starts_with("ref"),
        Action::Check(_) => false,
        _ => true,
    });
    scenario
}

/// The bytes of the shape, set when written, copied when backed up, compared when restored.
pub(super) struct Floor {
    disk: Vec<u8>,
    copy: Vec<u8>,
}

/// What the contents and the two rounds write, and what the full backup and the increments copy.
const WRITTEN: [usize; 9] = [
    512,
    32 << 10,
    124 << 10,
    512,
    256 << 10,
    64 << 10,
    512,
    352 << 10,
    1 << 20,
];
const COPIED: [usize; 3] = [256 << 10, 448 << 10, 1472 << 10];

impl Floor {
    pub(super) fn new() -> Self {
        Self {
            disk: vec![0; 4 << 20],
            copy: vec![0; 4 << 20],
        }
    }

    pub(super) fn run(&mut self) {
        let mut at = 0;
        for len in WRITTEN {
            self.disk[at..at + len].fill(black_box(0xab));
            at += len;
        }
        let mut at = 0;
        for len in COPIED {
            self.copy[at..at + len].copy_from_slice(&self.disk[at..at + len]);
            black_box(&mut self.copy);
            assert!(self.copy[at..at + len] == self.disk[at..at + len]);
            at += len;
        }
    }
}

/// Small steps on a disk of any size.
pub(super) fn sized(size: u64) -> Scenario {
    let text = format!(
        "blkproof 1\ndisk drive0 {size} qcow2\nbitmap add drive0 b\nwrite drive0 0 64k stamp\n\
         write drive0 1M 4k stamp\nwrite drive0 32M 128k stamp\nbackup drive0 full to=full0\n\
         bitmap clear drive0 b\nwrite drive0 48M 64k stamp\ndiscard drive0 1M 64k\n\
         write-zeroes drive0 0 32k\ncreate inc0 qcow2 backing=full0\n\
         backup drive0 incremental bitmap=b to=inc0 mode=existing\ncheck inc0 == drive0\n"
    );
    blkproof::text::parse(text.as_bytes()).expect("the text is right")
}

/// A full backup, then writes, reads and flushes all over the disk, and an increment after every
/// hundred of them, until there are as many steps as asked for.
pub(super) fn rounds(steps: usize) -> Scenario {
    let mut text = String::from("blkproof 1\ndisk drive0 64M qcow2\n");
    text.push_str("bitmap add drive0 b\nbackup drive0 full to=inc0\n");
    for step in 2..steps {
        let at = (step * 7919 % 1024) * 65536;
        let round = step / 100;
        let line = match step % 100 {
            98 => format!("create inc{} qcow2 backing=inc{round}\n", round + 1),
            99 => format!(
                "backup drive0 incremental bitmap=b to=inc{} mode=existing\n",
                round + 1
            ),
            rest if rest % 10 == 8 => format!("read drive0 {at} 64k\n"),
            rest if rest % 10 == 9 => "flush drive0\n".to_owned(),
            _ => format!("write drive0 {at} 4k stamp\n"),
        };
        text.push_str(&line);
    }
    blkproof::text::parse(text.as_bytes()).expect("the text is right")
}
