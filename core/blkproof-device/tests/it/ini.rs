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
        \n[inject-error]  # group\n\
        event = \"l1_grow_alloc_table\"\n\
        \tstate =\"0x2\"\n\
        iotype = \"write-zeroes\" # comment\n\
        errno = \"034\"\n\
        sector = \"7\"\n\
        once = \"yes\"\n\
        immediately = \"true\"\n\
        once = \"off\"\n\
        [set-state \"some-id\"]\n\
        event = \"none\"\n\
        [inject-error]\n\
        id = \"some-id\"\n\
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

/// Files that are wrong, with what is said of them.
const WRONG: &[(&str, &str)] = &[
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
        "[inject-error]\nerrno = \"EIO\"\nevent = \"none\"\n",
        "line 2, column 10: expected an error number from 0 to 65535, found \"EIO\"",
    ),
    (
        "[inject-error]\nerrno = \"65536\"\nevent = \"none\"\n",
        "line 2, column 10: expected an error number from 0 to 65535, found \"65536\"",
    ),
    (
        "[inject-error]\nonce = \"of\"\nevent = \"none\"\n",
        "line 2, column 9: expected on or off, found \"of\"; did you mean 'on'?",
    ),
    (
        "[inject-error]\nonce = on\nevent = \"none\"\n",
        "line 2, column 8: expected a value in double quotes, found \"on\"",
    ),
    (
        "[inject-error]\nonce\nevent = \"none\"\n",
        "line 2, column 5: expected '=' and a value in double quotes, \
             found the end of the line",
    ),
    (
        "[inject-error\n",
        "line 1, column 2: expected the name of a group and ']', found \"inject-error\"",
    ),
    (
        "[ inject-error ]\n",
        "line 1, column 2: expected the name of a group without blanks around it, \
             found \" inject-error \"",
    ),
    (
        "\t[inject-error]\n",
        "line 1, column 2: expected a group in square brackets, from the first column on, \
             found \"[inject-error]\"",
    ),
    (
        "[inject-error]\n # c\n",
        "line 2, column 2: expected a comment from the first column on, found \"#\"",
    ),
    (
        "[inject-error]\nevent=\"none\"\n",
        "line 2, column 1: expected a key, a blank, and '=' with a value in double quotes, \
             found \"event=\\\"none\\\"\"",
    ),
    (
        "event=\"none\"\n",
        "line 1, column 1: expected a key, a blank, and '=' with a value in double quotes, \
             found \"event=\\\"none\\\"\"",
    ),
    (
        "[inject-error]\n  \n",
        "line 2, column 1: expected a group, a key with its value, a comment, or nothing at \
             all, found \"  \"",
    ),
    (
        "[inject-error]\nonce = \"on\nevent = \"none\"\n",
        "line 2, column 8: expected a value in double quotes, found \"\\\"on\"",
    ),
    (
        "[inject-error]\nevent = \"none\"\nerrno = \"-5\"\n",
        "line 3, column 10: expected an error number from 0 to 65535, found \"-5\"",
    ),
    (
        "[set-state]\nevent = \"none\"\nid = \"1\"\n",
        "line 3, column 7: expected an id: a letter, then letters, digits, '-', '.' and '_', \
             found \"1\"",
    ),
    (
        "[set-state \"a\"]\nevent = \"none\"\n[set-state \"a\"]\nevent = \"none\"\n",
        "line 3, column 13: another set-state rule has the id \"a\"",
    ),
    (
        "[set-state]\nstate = \"1\"\n[inject-error]\nevent = \"none\"\n",
        "line 1, column 2: this set-state rule has no event",
    ),
];

#[test]
fn errors_say_what_is_wrong_where() {
    for (text, message) in WRONG {
        let error = ini::parse(text.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), *message);
    }
    let error = ini::parse("# \u{fc}\n[inject-error]\n\u{fc} = \"\"".as_bytes()).unwrap_err();
    let message = "line 3, column 1: group 'inject-error' has no key \"\u{fc}\"";
    assert_eq!(error.to_string(), message);
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
