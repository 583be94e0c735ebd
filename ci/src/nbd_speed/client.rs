//! The client: simple replies, one connection, so many requests under way.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Read,
    Write,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// A connection.
pub(super) struct Client {
    stream: UnixStream,
    reader: BufReader<UnixStream>,
    size: u64,
    seed: u64,
    /// What is written, and what is read.
    buffer: Vec<u8>,
    /// Requests that were not sent yet.
    unsent: Vec<u8>,
}

/// The longest request.
const LEN_MAX: usize = 256 << 10;

impl Client {
    /// Connects to a server of a disk of `size`.
    pub(super) fn connect(socket: &Path, size: u64) -> anyhow::Result<Self> {
        let mut stream = UnixStream::connect(socket).context("cannot connect")?;
        let mut greeting = [0; 18];
        stream.read_exact(&mut greeting)?;
        // Fixed newstyle without padding, and the default export by the option that needs no reply.
        stream.write_all(b"\0\0\0\x03IHAVEOPT\0\0\0\x01\0\0\0\0")?;
        let mut answer = [0; 10];
        stream.read_exact(&mut answer)?;
        let found = answer[..8]
            .iter()
            .fold(0_u64, |size, byte| size << 8 | u64::from(*byte));
        ensure!(found == size, "the disk has {found} bytes, not {size}");
        Ok(Self {
            reader: BufReader::with_capacity(LEN_MAX, stream.try_clone()?),
            stream,
            size,
            seed: 1,
            buffer: vec![0x5a; LEN_MAX],
            unsent: Vec::new(),
        })
    }

    /// Writes all of the disk.
    pub(super) fn fill(&mut self) -> anyhow::Result<()> {
        let len = LEN_MAX as u64;
        for index in 0..self.size / len {
            self.ask(Kind::Write, 256 << 10, index * len)?;
            self.take(Kind::Write, LEN_MAX)?;
        }
        Ok(())
    }

    /// Makes requests at places by chance for a while, `depth` of them at once, and returns how
    /// many there were.
    pub(super) fn run(
        &mut self,
        kind: Kind,
        len: u32,
        depth: usize,
        span: Duration,
    ) -> anyhow::Result<u32> {
        let deadline = Instant::now() + span;
        let places = self.size / u64::from(len);
        let bytes = len as usize;
        let (mut under_way, mut count) = (0, 0);
        while under_way > 0 || Instant::now() < deadline {
            let more = under_way < depth && Instant::now() < deadline;
            if more {
                self.seed = self
                    .seed
                    .wrapping_mul(0x5851_f42d_4c95_7f2d)
                    .wrapping_add(1);
                let place = (self.seed >> 33) % places;
                self.ask(kind, len, place * u64::from(len))?;
                under_way += 1;
                continue;
            }
            self.take(kind, bytes)?;
            under_way -= 1;
            count += 1;
        }
        Ok(count)
    }

    /// Makes a request; it is sent with the next one whose reply has to be waited for.
    fn ask(&mut self, kind: Kind, len: u32, offset: u64) -> anyhow::Result<()> {
        let command: u16 = match kind {
            Kind::Read => 0,
            Kind::Write => 1,
        };
        self.unsent.extend([0x25, 0x60, 0x95, 0x13, 0, 0]);
        self.unsent.extend(command.to_be_bytes());
        self.unsent.extend([0; 8]);
        self.unsent.extend(offset.to_be_bytes());
        self.unsent.extend(len.to_be_bytes());
        if matches!(kind, Kind::Write) {
            self.unsent.extend(&self.buffer[..len as usize]);
            if self.unsent.len() > LEN_MAX {
                self.send()?;
            }
        }
        Ok(())
    }

    fn send(&mut self) -> anyhow::Result<()> {
        self.stream.write_all(&self.unsent)?;
        self.unsent.clear();
        Ok(())
    }

    fn take(&mut self, kind: Kind, len: usize) -> anyhow::Result<()> {
        if !self.unsent.is_empty() && self.reader.buffer().is_empty() {
            self.send()?;
        }
        let mut head = [0; 16];
        self.reader.read_exact(&mut head)?;
        ensure!(
            head[..8] == [0x67, 0x44, 0x66, 0x98, 0, 0, 0, 0],
            "an error: {head:?}"
        );
        if matches!(kind, Kind::Read) {
            self.drop_data(len)?;
        }
        Ok(())
    }

    /// Takes the data of a reply, where it lies: what a client does with it is its own business.
    fn drop_data(&mut self, mut len: usize) -> anyhow::Result<()> {
        while len > 0 {
            let there = self.reader.fill_buf()?.len().min(len);
            ensure!(there > 0, "the server went away");
            self.reader.consume(there);
            len -= there;
        }
        Ok(())
    }
}
