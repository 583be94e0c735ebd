//! Waiting for a client without falling asleep at once.
//!
//! A client that makes one request at a time has the next one ready some microseconds behind the
//! reply. To put a thread to sleep and to wake it up takes as long as all else that such a request
//! takes, so for a moment the socket is looked at again and again. Where nothing comes in time,
//! that is given up for longer and longer: an idle client costs nothing.

use core::time::Duration;
use std::io;
use std::thread;
use std::time::Instant;

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

use super::listen::Stream;

/// How long is looked at most.
const SPAN: Duration = Duration::from_micros(50);

/// How many times it is left out at most, once nothing came.
const PAUSE_MAX: u32 = 512;

/// Whether it is worth while to look.
#[derive(Debug, Default)]
pub(super) struct Eagerness {
    /// How many more times it is left out.
    pause: u32,
    /// How many times it is left out the next time that nothing comes.
    next: u32,
}

impl Eagerness {
    /// Reads what comes within a moment. `None` where nothing did: whoever wants more has to sleep.
    pub(super) fn read(&mut self, stream: &Stream, buf: &mut [u8]) -> Option<io::Result<usize>> {
        if let Some(pause) = self.pause.checked_sub(1) {
            self.pause = pause;
            return None;
        }
        let start = Instant::now();
        loop {
            match recv(stream, &mut *buf, RecvFlags::DONTWAIT) {
                Ok((_, read)) => {
                    self.next = 0;
                    return Some(Ok(read));
                }
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(error) => return Some(Err(error.into())),
            }
            if start.elapsed() >= SPAN {
                self.missed();
                return None;
            }
            // Where the client waits for this processor, it is the one to go on.
            thread::yield_now();
        }
    }

    fn missed(&mut self) {
        self.next = (self.next * 2).clamp(1, PAUSE_MAX);
        self.pause = self.next;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn what_is_there_is_read_and_a_silent_client_is_looked_at_less_and_less() {
        let (here, mut there) = UnixStream::pair().unwrap();
        let stream = Stream::Unix(here);
        let mut eager = Eagerness::default();
        let mut buf = [0; 8];
        there.write_all(b"abc").unwrap();
        assert_eq!(eager.read(&stream, &mut buf).unwrap().unwrap(), 3);
        assert_eq!(&buf[..3], b"abc");
        let mut looks = Vec::new();
        for turn in 0..40 {
            let was_paused = eager.pause > 0;
            assert!(eager.read(&stream, &mut buf).is_none());
            if !was_paused {
                looks.push(turn);
            }
        }
        assert_eq!(looks, [0, 2, 5, 10, 19, 36]);
        drop(there);
        eager.pause = 0;
        assert_eq!(
            eager.read(&stream, &mut buf).unwrap().unwrap(),
            0,
            "its end"
        );
    }
}
