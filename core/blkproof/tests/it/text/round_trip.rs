//! Parsing and printing are inverse to each other; no bytes bring the parser down.

use blkproof::text::{self, Document};
use proptest::collection::vec;
use proptest::prelude::*;

use super::arbitrary::scenario;

proptest! {
    #[test]
    fn what_is_printed_parses_to_the_same(scenario in scenario()) {
        let printed = text::print(&scenario);
        match text::parse(printed.as_bytes()) {
            Ok(parsed) => prop_assert_eq!(parsed, scenario),
            Err(errors) => prop_assert!(false, "{}", errors.render("printed", printed.as_bytes())),
        }
    }

    #[test]
    fn formatting_twice_is_formatting_once(scenario in scenario()) {
        let printed = text::print(&scenario);
        let document = Document::parse(printed.as_bytes());
        prop_assert_eq!(document.map(|document| document.print()), Ok(printed));
    }

    #[test]
    fn any_bytes_parse_or_are_refused(bytes in vec(any::<u8>(), 0..400)) {
        survives(&bytes);
        survives(&[b"blkproof 1\n", &*bytes].concat());
    }

    /// Words of the language in any order get much further than bytes do.
    #[test]
    fn any_words_parse_or_are_refused(words in vec(word(), 0..60)) {
        let text = format!("blkproof 1\ndisk drive0 1M qcow2\n{}", words.concat());
        survives(text.as_bytes());
    }

    #[test]
    fn a_changed_text_parses_or_is_refused(
        scenario in scenario(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..4),
    ) {
        let mut text = text::print(&scenario).into_bytes();
        for (index, byte, change) in changes {
            let index = index.index(text.len());
            match change {
                0 => text[index] = byte,
                1 => text.insert(index, byte),
                _ => {
                    text.remove(index);
                }
            }
        }
        survives(&text);
    }
}

/// Parses `bytes`; what parses must print and parse again, what does not must be reported.
fn survives(bytes: &[u8]) {
    match Document::parse(bytes) {
        Ok(document) => {
            let printed = document.print();
            let again = Document::parse(printed.as_bytes()).expect("what was printed parses");
            assert_eq!(again.scenario, document.scenario);
            assert_eq!(again.print(), printed);
        }
        Err(errors) => {
            assert!(!errors.list.is_empty());
            assert!(!errors.render("any.blk", bytes).is_empty());
            for error in &errors.list {
                assert!(error.line >= 1 && error.column >= 1);
            }
        }
    }
}

const WORDS: &str = "write read flush start settle bitmap add merge backup full incremental \
    drive0 drive0.node drive0.file 0 512 64k fill=0x41 stamp to=t from=a,b:c transaction grouped \
    end abort expect=failed(EIO) expect= check == digest event completed len=1 fault inject-error \
    event=read_aio at-open title # \" \\ = x=y limit contents";

fn word() -> impl Strategy<Value = String> {
    let words: Vec<_> = WORDS.split(' ').collect();
    let separator = prop_oneof![4 => Just(" "), 2 => Just("\n"), 1 => Just(""), 1 => Just("\r\n")];
    (prop::sample::select(words), separator)
        .prop_map(|(word, separator)| format!("{word}{separator}"))
}
