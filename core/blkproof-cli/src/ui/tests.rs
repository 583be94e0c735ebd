use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;

use super::{Ui, quoted};

/// A stream that is kept.
#[derive(Clone, Default)]
pub(crate) struct Kept(Rc<RefCell<Vec<u8>>>);

impl Kept {
    /// Returns what was printed.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.borrow().clone()).expect("text")
    }
}

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Ui {
    /// Returns streams for people that are kept, with what they keep.
    pub(crate) fn kept() -> (Self, Kept, Kept) {
        let (out, err) = (Kept::default(), Kept::default());
        let ui = Self {
            out: Box::new(out.clone()),
            err: Box::new(err.clone()),
            json: false,
            program: "blkproof".to_owned(),
        };
        (ui, out, err)
    }
}

#[test]
fn words_reach_the_shell_as_they_are() {
    assert_eq!(quoted("blkproof-out/case-1.blk"), "blkproof-out/case-1.blk");
    assert_eq!(quoted("my disks/a.blk"), "'my disks/a.blk'");
    assert_eq!(quoted("it's"), r"'it'\''s'");
    assert_eq!(quoted(""), "''");
    assert_eq!(quoted("$HOME"), "'$HOME'");
}
