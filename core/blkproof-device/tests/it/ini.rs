//! Configuration files: what is written is read again, and what is wrong is said where.

use blkproof_device::ini;
use blkproof_spec::fault::{Effect, Event, Extended, InjectError, IoType, IoTypes, Rule, When};
use blkproof_spec::{Errno, SectorNumber, Tag};
use proptest::prelude::*;

use crate::program;

proptest! {
    #[test]
    fn what_is_written_is_read(rules in prop::collection::vec(program::rule(), 0..10)) {
        let text = ini::print(&rules).unwrap();
        prop_assert_eq!(ini::parse(text.as_bytes()), Ok(rules));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Err(error) = ini::parse(&bytes) {
            prop_assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn any_text_of_the_language_is_read_or_refused(
        words in prop::collection::vec(word(), 0..40),
    ) {
        let text = words.concat();
        match ini::parse(text.as_bytes()) {
            Ok(rules) => {
                let printed = ini::print(&rules).unwrap();
                prop_assert_eq!(ini::parse(printed.as_bytes()), Ok(rules));
            }
            Err(error) => {
                let lines = text.lines().count().max(1) as u64;
                prop_assert!(error.line >= 1 && error.line <= lines, "{}", error);
                let line = text.lines().nth(usize::try_from(error.line - 1).unwrap());
                let columns = line.unwrap_or_default().chars().count() as u64;
                prop_assert!(error.column >= 1 && error.column <= columns + 1, "{}", error);
            }
        }
    }
}

fn word() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&[
        "\n",
        "\n",
        "\n",
        "[",
        "]",
        "[inject-error]\n",
        "[set-state]\n",
        "[set-state \"a\"]\n",
        "event = \"read_aio\"\n",
        "state = \"1\"\n",
        "new_state = \"0x10\"\n",
        "once=\"on\"\n",
        "errno",
        "sector",
        " = ",
        "\"",
        "\"-1\"\n",
        "\"99999999999999999999\"\n",
        "#",
        " ",
        "\t",
        "\r\n",
        "\u{fc}",
        "iotype = \"discard\"\n",
        "none",
    ])
}

#[test]
fn everything_that_can_be_said() {
    let text = "# rules\r\n\
        \n  [inject-error]  # group\n\
        event = \"l1_grow_alloc_table\"\n\
        state=\"0x2\"\n\
        iotype = \"write-zeroes\" # comment\n\
        errno = \"034\"\n\
        sector = \"7\"\n\
        once = \"yes\"\n\
        immediately = \"true\"\n\
        once = \"off\"\n\
        [set-state \"some id\"]\n\
        event = \"none\"\n\
        [inject-error]\n\
        event = \"pwritev\"\n\
        errno = \"0\"\n\
        sector = \"-1\"";
    let rules = ini::parse(text.as_bytes()).unwrap();
    let set_state = Rule::SetState {
        event: Event::None,
        state: 0,
        new_state: 0,
    };
    let first = InjectError {
        state: 2,
        iotypes: IoTypes::only(IoType::WriteZeroes),
        errno: Some(Errno::ENOSPC),
        sector: Some(SectorNumber(7)),
        immediately: true,
        ..InjectError::new(Event::L1GrowAllocTable)
    };
    let last = InjectError {
        errno: None,
        ..InjectError::new(Event::Pwritev)
    };
    assert_eq!(
        rules,
        [Rule::InjectError(first), set_state, Rule::InjectError(last)]
    );
}

#[test]
fn errors_say_what_is_wrong_where() {
    for (text, message) in [
        (
            "[inject-eror]\n",
            "line 1, column 2: there is no group \"inject-eror\"; did you mean 'inject-error'?",
        ),
        (
            "event = \"none\"\n",
            "line 1, column 1: a value stands before the first group",
        ),
        (
            "[set-state]\n\n  errno = \"5\"\n",
            "line 3, column 3: group 'set-state' has no key \"errno\"",
        ),
        (
            "[set-state]\nnew-state = \"5\"\n",
            "line 2, column 1: group 'set-state' has no key \"new-state\"; \
             did you mean 'new_state'?",
        ),
        (
            "[inject-error]\nevent = \"raed_aio\"\n",
            "line 2, column 10: expected the name of a blkdebug event, found \"raed_aio\"; \
             did you mean 'read_aio'?",
        ),
        (
            "[inject-error]\nerrno = \"EIO\"\n",
            "line 2, column 10: expected an error number from 0 to 65535, found \"EIO\"",
        ),
        (
            "[inject-error]\nerrno = \"65536\"\n",
            "line 2, column 10: expected an error number from 0 to 65535, found \"65536\"",
        ),
        (
            "[inject-error]\nonce = \"of\"\n",
            "line 2, column 9: expected on or off, found \"of\"; did you mean 'on'?",
        ),
        (
            "[inject-error]\nonce = on\n",
            "line 2, column 8: expected a value in double quotes, found \"on\"",
        ),
        (
            "[inject-error]\nonce\n",
            "line 2, column 5: expected '=' and a value in double quotes, \
             found the end of the line",
        ),
        (
            "[inject-error\n",
            "line 1, column 1: expected a group in square brackets, found \"[inject-error\"",
        ),
        (
            "[inject-error]\nonce = \"on\" off\n",
            "line 2, column 13: expected the end of the line, found \"off\"",
        ),
        (
            "[set-state]\nstate = \"1\"\n[inject-error]\nevent = \"none\"\n",
            "line 1, column 2: this set-state rule has no event",
        ),
    ] {
        let error = ini::parse(text.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
    let error = ini::parse(b"# \xc3\xbc\n# \xc3\xbc\xff").unwrap_err();
    assert_eq!(error.to_string(), "line 2, column 4: expected UTF-8 text");
    let error = ini::parse(&vec![b'\n'; 2 << 20]).unwrap_err();
    assert_eq!(error.problem, ini::IniProblem::TooLarge);
}

#[test]
fn what_cannot_be_said_is_not_written() {
    let sayable = Rule::InjectError(InjectError::new(Event::None));
    let several = Rule::InjectError(InjectError {
        iotypes: IoTypes::only(IoType::Read).with(IoType::Write),
        ..InjectError::new(Event::None)
    });
    let tag = Tag::new("A");
    let breakpoint = Rule::Break {
        event: Event::None,
        tag,
    };
    let extended = Rule::Extended(Extended {
        iotypes: IoTypes::ALL_BUT_BLOCK_STATUS,
        range: None,
        when: When::Always,
        effect: Effect::Phantom,
    });
    for rule in [several, breakpoint, extended] {
        assert_eq!(ini::print(&[sayable.clone(), rule]), Err(1));
    }
}
