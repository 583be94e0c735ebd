use super::*;

const KNOWN: Known = Known {
    size: 1 << 40,
    peak: 1 << 40,
    read_only: false,
    structured: true,
    has_contexts: true,
};

fn head(command: u16, flags: u16, offset: u64, len: u32) -> Head {
    Head {
        flags,
        command,
        cookie: 7,
        offset,
        len,
    }
}

#[test]
fn a_head_is_read_field_by_field() {
    let mut bytes = [0; HEAD];
    bytes[..4].copy_from_slice(&wire::REQUEST_MAGIC.to_be_bytes());
    for (byte, number) in bytes[4..].iter_mut().zip(0..) {
        *byte = number;
    }
    let read = Head::read(&bytes).unwrap();
    assert_eq!((read.flags, read.command), (0x0001, 0x0203));
    assert_eq!(read.cookie, 0x0405_0607_0809_0a0b);
    assert_eq!(read.offset, 0x0c0d_0e0f_1011_1213);
    assert_eq!(read.len, 0x1415_1617);
    bytes[0] ^= 1;
    assert_eq!(Head::read(&bytes), None);
}

#[test]
fn what_lies_behind_the_end_is_refused_as_the_protocol_says() {
    let end = KNOWN.size;
    for (command, errno) in [
        (command::READ, Errno::EINVAL),
        (command::WRITE, Errno::ENOSPC),
        (command::WRITE_ZEROES, Errno::ENOSPC),
        (command::TRIM, Errno::EINVAL),
        (command::CACHE, Errno::EINVAL),
        (command::BLOCK_STATUS, Errno::EINVAL),
    ] {
        assert!(head(command, 0, end - 512, 512).operation(&KNOWN).is_ok());
        for (offset, len) in [
            (end - 511, 512),
            (end, 1),
            (u64::MAX, 1),
            (u64::MAX, u32::MAX),
        ] {
            let found = head(command, 0, offset, len).operation(&KNOWN);
            assert_eq!(found, Err(errno), "{command} {offset}");
        }
        // Behind the end of what was there once.
        let shrunk = Known {
            size: 1024,
            ..KNOWN
        };
        let found = head(command, 0, 1024, 1).operation(&shrunk);
        assert_eq!(found, Err(Errno::ENOSPC), "{command}");
    }
}

#[test]
fn flags_and_commands_that_nobody_knows_are_refused() {
    let invalid = Err(Errno::EINVAL);
    for command in 0..=8 {
        let allowed = match command {
            command::READ => flag::DF,
            command::WRITE_ZEROES => flag::NO_HOLE | flag::FAST_ZERO,
            command::BLOCK_STATUS => flag::REQ_ONE,
            _ => 0,
        };
        for bit in 1..16 {
            let found = head(command, 1 << bit, 0, 1).operation(&KNOWN);
            if allowed & 1 << bit == 0 {
                assert_eq!(found, invalid, "{command} {bit}");
            } else {
                assert!(found.is_ok(), "{command} {bit}");
            }
        }
    }
    assert_eq!(head(9, 0, 0, 0).operation(&KNOWN), invalid);
    assert_eq!(head(command::FLUSH, 0, 1, 0).operation(&KNOWN), invalid);
    let simple = Known {
        structured: false,
        has_contexts: false,
        ..KNOWN
    };
    let df = head(command::READ, flag::DF, 0, 512);
    assert_eq!(df.operation(&simple), invalid);
    let status = head(command::BLOCK_STATUS, 0, 0, 512);
    assert_eq!(status.operation(&simple), invalid);
}

#[test]
fn payloads_have_a_limit_and_zeroes_have_none() {
    let long = MAX_PAYLOAD + 1;
    let simple = Known {
        structured: false,
        ..KNOWN
    };
    assert_eq!(
        head(command::READ, 0, 0, long).operation(&KNOWN),
        Err(EOVERFLOW)
    );
    let invalid = Err(Errno::EINVAL);
    assert_eq!(head(command::READ, 0, 0, long).operation(&simple), invalid);
    assert_eq!(head(command::WRITE, 0, 0, long).operation(&KNOWN), invalid);
    let zeroes = head(command::WRITE_ZEROES, flag::FUA, 0, u32::MAX);
    let range = ByteRange::new(0, u32::MAX.into());
    let want = Operation::WriteZeroes {
        range,
        fua: true,
        unmap: true,
    };
    assert_eq!(zeroes.operation(&KNOWN), Ok(want));
}

#[test]
fn an_export_that_is_read_only_is_not_changed() {
    let known = Known {
        read_only: true,
        ..KNOWN
    };
    for command in [
        command::WRITE,
        command::TRIM,
        command::WRITE_ZEROES,
        command::RESIZE,
    ] {
        assert_eq!(
            head(command, 0, 0, 512).operation(&known),
            Err(Errno::EPERM)
        );
    }
    assert!(head(command::FLUSH, 0, 0, 0).operation(&known).is_ok());
}
