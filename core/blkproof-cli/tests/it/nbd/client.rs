//! A client of few lines, which can misbehave as no real one does.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::server::Server;

const OPTION_MAGIC: &[u8] = b"IHAVEOPT";
pub(crate) const GO: u32 = 7;
pub(crate) const STRUCTURED: u32 = 8;
pub(crate) const SET_META: u32 = 10;

pub(crate) const READ: u16 = 0;
pub(crate) const WRITE: u16 = 1;
pub(crate) const FLUSH: u16 = 3;
pub(crate) const STATUS: u16 = 7;
pub(crate) const RESIZE: u16 = 8;

/// A connection.
pub(crate) struct Client {
    pub(crate) stream: UnixStream,
    cookie: u64,
    structured: bool,
}

/// A reply: its cookie, its error, and the payloads of its chunks.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) cookie: u64,
    pub(crate) error: u32,
    pub(crate) payloads: Vec<Vec<u8>>,
}

impl Client {
    /// Connects, and takes the greeting.
    pub(crate) fn connect(server: &Server) -> Self {
        let mut stream = UnixStream::connect(server.socket()).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        let mut greeting = [0; 18];
        stream.read_exact(&mut greeting).unwrap();
        assert_eq!(&greeting[..16], b"NBDMAGICIHAVEOPT");
        stream.write_all(&3_u32.to_be_bytes()).unwrap();
        Self {
            stream,
            cookie: 0,
            structured: false,
        }
    }

    /// Connects and uses the export, with structured replies where contexts are wanted.
    pub(crate) fn open(server: &Server, contexts: &[&str]) -> Self {
        let mut client = Self::connect(server);
        if !contexts.is_empty() {
            assert_eq!(client.option(STRUCTURED, &[]).last().unwrap().0, 1);
            client.structured = true;
            let mut data = vec![0; 4];
            data.extend((contexts.len() as u32).to_be_bytes());
            for context in contexts {
                data.extend((context.len() as u32).to_be_bytes());
                data.extend(context.as_bytes());
            }
            let replies = client.option(SET_META, &data);
            assert_eq!(replies.len(), contexts.len() + 1, "{replies:?}");
        }
        assert_eq!(client.go().0, 1);
        client
    }

    /// Sends an option, and returns the replies: types and payloads.
    pub(crate) fn option(&mut self, option: u32, data: &[u8]) -> Vec<(u32, Vec<u8>)> {
        self.send_option(option, data.len() as u32, data);
        let mut replies = Vec::new();
        loop {
            let head: [u8; 20] = self.take();
            assert_eq!(head[..8], 0x0003_e889_0455_65a9_u64.to_be_bytes());
            assert_eq!(number(&head[8..12]), u64::from(option));
            let kind = number(&head[12..16]) as u32;
            let payload = self.bytes(number(&head[16..]) as usize);
            replies.push((kind, payload));
            if kind == 1 || kind >> 31 == 1 {
                return replies;
            }
        }
    }

    pub(crate) fn send_option(&mut self, option: u32, len: u32, data: &[u8]) {
        let head = [OPTION_MAGIC, &option.to_be_bytes(), &len.to_be_bytes()].concat();
        self.stream.write_all(&head).unwrap();
        self.stream.write_all(data).unwrap();
    }

    /// Wants to use the default export; returns the last reply.
    pub(crate) fn go(&mut self) -> (u32, String) {
        let (kind, payload) = self.option(GO, &[0; 6]).pop().unwrap();
        (kind, String::from_utf8(payload).unwrap())
    }

    /// Sends a request, and returns its cookie.
    pub(crate) fn send(
        &mut self,
        command: u16,
        flags: u16,
        offset: u64,
        len: u32,
        data: &[u8],
    ) -> u64 {
        self.cookie += 1;
        let mut bytes = 0x2560_9513_u32.to_be_bytes().to_vec();
        bytes.extend(flags.to_be_bytes());
        bytes.extend(command.to_be_bytes());
        bytes.extend(self.cookie.to_be_bytes());
        bytes.extend(offset.to_be_bytes());
        bytes.extend(len.to_be_bytes());
        bytes.extend(data);
        self.stream.write_all(&bytes).unwrap();
        self.cookie
    }

    /// Takes a reply, with `len` bytes of data if it is simple and no error.
    pub(crate) fn reply(&mut self, len: usize) -> io::Result<Reply> {
        let mut reply = Reply {
            cookie: 0,
            error: 0,
            payloads: Vec::new(),
        };
        loop {
            let mut magic = [0; 4];
            self.stream.read_exact(&mut magic)?;
            if number(&magic) == 0x6744_6698 {
                let head: [u8; 12] = self.take();
                reply.error = number(&head[..4]) as u32;
                reply.cookie = number(&head[4..]);
                if reply.error == 0 && len > 0 {
                    reply.payloads.push(self.bytes(len));
                }
                return Ok(reply);
            }
            assert_eq!(number(&magic), 0x668e_33ef, "the magic of a chunk");
            let head: [u8; 16] = self.take();
            reply.cookie = number(&head[4..12]);
            let payload = self.bytes(number(&head[12..]) as usize);
            if head[2] & 0x80 != 0 {
                reply.error = number(&payload[..4]) as u32;
            } else if !payload.is_empty() {
                reply.payloads.push(payload);
            }
            if head[1] & 1 == 1 {
                return Ok(reply);
            }
        }
    }

    fn request(&mut self, command: u16, offset: u64, len: u32, data: &[u8]) -> Reply {
        let cookie = self.send(command, 0, offset, len, data);
        let wanted = if command == READ { len as usize } else { 0 };
        let reply = self.reply(wanted).unwrap();
        assert_eq!(reply.cookie, cookie);
        reply
    }

    pub(crate) fn read(&mut self, offset: u64, len: u32) -> Result<Vec<u8>, u32> {
        let mut reply = self.request(READ, offset, len, &[]);
        if reply.error != 0 {
            return Err(reply.error);
        }
        let payload = reply.payloads.pop().unwrap();
        assert!(reply.payloads.is_empty());
        let skip = if self.structured { 8 } else { 0 };
        Ok(payload[skip..].to_vec())
    }

    pub(crate) fn try_write(&mut self, offset: u64, data: &[u8]) -> u32 {
        self.request(WRITE, offset, data.len() as u32, data).error
    }

    #[track_caller]
    pub(crate) fn write(&mut self, offset: u64, data: &[u8]) {
        assert_eq!(self.try_write(offset, data), 0);
    }

    #[track_caller]
    pub(crate) fn flush(&mut self) {
        assert_eq!(self.request(FLUSH, 0, 0, &[]).error, 0);
    }

    pub(crate) fn resize(&mut self, size: u64) -> u32 {
        self.request(RESIZE, size, 0, &[]).error
    }

    /// The runs of each context: lengths and flags.
    pub(crate) fn status(&mut self, offset: u64, len: u32) -> Vec<Vec<(u64, u64)>> {
        let reply = self.request(STATUS, offset, len, &[]);
        assert_eq!(reply.error, 0);
        let runs = |payload: &Vec<u8>| {
            let pairs = payload[4..].chunks(8);
            pairs
                .map(|run| (number(&run[..4]), number(&run[4..])))
                .collect()
        };
        reply.payloads.iter().map(runs).collect()
    }

    /// Whether the server ended the connection.
    pub(crate) fn is_ended(&mut self) -> bool {
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Ok(_) => rest.is_empty(),
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        }
    }

    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes
    }
}

fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}
