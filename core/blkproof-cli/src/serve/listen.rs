//! Sockets: where clients and commands come in.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::hub::Hub;
use super::{connection, control};
use crate::error::Error;

/// How large the stack of a thread is. None of them goes deep.
const STACK: usize = 512 << 10;

/// The most control connections at once.
const CONTROLS_MAX: usize = 16;

/// Where clients come in.
#[derive(Clone, Debug)]
pub(crate) enum Endpoint {
    Unix(PathBuf),
    Tcp(SocketAddr),
}

/// A connection of either kind.
#[derive(Debug)]
pub(crate) enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Stream {
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Unix(stream) => Self::Unix(stream.try_clone()?),
            Self::Tcp(stream) => Self::Tcp(stream.try_clone()?),
        })
    }

    pub(crate) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        match self {
            Self::Unix(stream) => stream.shutdown(how),
            Self::Tcp(stream) => stream.shutdown(how),
        }
    }

    /// Has reads give up after this long, or never.
    pub(crate) fn set_read_timeout(&self, span: Option<Duration>) -> io::Result<()> {
        match self {
            Self::Unix(stream) => stream.set_read_timeout(span),
            Self::Tcp(stream) => stream.set_read_timeout(span),
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Unix(stream) => stream.as_fd(),
            Self::Tcp(stream) => stream.as_fd(),
        }
    }
}

impl Read for &Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Unix(stream) => (&mut &*stream).read(buf),
            Stream::Tcp(stream) => (&mut &*stream).read(buf),
        }
    }
}

impl Write for &Stream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Unix(stream) => (&mut &*stream).write(buf),
            Stream::Tcp(stream) => (&mut &*stream).write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The sockets on which a server listens. When it goes, everything ends and they are removed.
#[derive(Debug)]
pub(crate) struct Listening {
    hub: Hub,
    paths: Vec<PathBuf>,
    addresses: Vec<SocketAddr>,
}

impl Listening {
    pub(crate) fn new(hub: &Hub) -> Self {
        Self {
            hub: hub.clone(),
            paths: Vec::new(),
            addresses: Vec::new(),
        }
    }

    /// Listens for clients, and returns the address where that is one of TCP.
    pub(crate) fn clients(&mut self, endpoint: &Endpoint) -> Result<SocketAddr, Error> {
        match endpoint {
            Endpoint::Unix(path) => {
                let listener = self.bind(path)?;
                let hub = self.hub.clone();
                spawn(move || accept(&hub, || Ok(Stream::Unix(listener.accept()?.0))))
                    .map_err(failed(path.display()))?;
                Ok(SocketAddr::from(([127, 0, 0, 1], 0)))
            }
            Endpoint::Tcp(address) => {
                let listener = TcpListener::bind(address).map_err(failed(address))?;
                let address = listener.local_addr().map_err(failed(address))?;
                let hub = self.hub.clone();
                let next = move || {
                    let stream = listener.accept()?.0;
                    stream.set_nodelay(true)?;
                    Ok(Stream::Tcp(stream))
                };
                spawn(move || accept(&hub, next)).map_err(failed(address))?;
                self.addresses.push(address);
                Ok(address)
            }
        }
    }

    /// Listens for commands.
    pub(crate) fn control(&mut self, path: &Path) -> Result<(), Error> {
        let listener = self.bind(path)?;
        let hub = self.hub.clone();
        let open = std::sync::Arc::new(());
        let handle = move |stream: UnixStream| {
            let ticket = std::sync::Arc::clone(&open);
            if std::sync::Arc::strong_count(&ticket) > CONTROLS_MAX + 1 {
                // Who goes away before it reads why needs no answer.
                let _ = (&stream).write_all(b"error: too many control connections\n");
                return;
            }
            let hub = hub.clone();
            // Without a thread nobody listens, and the client sees the connection end.
            let _ = spawn(move || {
                control::serve(&hub, &stream);
                drop(ticket);
            });
        };
        let accepting_hub = self.hub.clone();
        let accepting = move || {
            for stream in listener.incoming() {
                if accepting_hub.is_stopped() {
                    return;
                }
                match stream {
                    Ok(stream) => handle(stream),
                    Err(_) => thread::sleep(Duration::from_millis(10)),
                }
            }
        };
        spawn(accepting).map_err(failed(path.display()))
    }

    fn bind(&mut self, path: &Path) -> Result<UnixListener, Error> {
        remove_stale(path).map_err(failed(path.display()))?;
        let listener = UnixListener::bind(path).map_err(failed(path.display()))?;
        self.paths.push(path.to_owned());
        Ok(listener)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.hub.stop();
        // Who waits for clients sees that it is over when one comes. Where none can come any more,
        // nobody waits, or the program is about to end.
        for address in &self.addresses {
            let _ = TcpStream::connect(address);
        }
        for path in &self.paths {
            let _ = UnixStream::connect(path);
            // Somebody else may have removed it.
            let _ = fs::remove_file(path);
        }
    }
}

fn failed(at: impl core::fmt::Display) -> impl FnOnce(io::Error) -> Error {
    let at = at.to_string();
    move |source| Error::Listen { at, source }
}

/// Removes a socket that a server left that is no more.
fn remove_stale(path: &Path) -> io::Result<()> {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    if is_socket {
        match UnixStream::connect(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                return fs::remove_file(path);
            }
            _ => return Err(io::ErrorKind::AddrInUse.into()),
        }
    }
    Ok(())
}

/// Starts a thread; unlike the standard library's way, one that cannot be started is no panic.
pub(crate) fn spawn(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new()
        .stack_size(STACK)
        .spawn(work)
        .map(|_| ())
}

/// Takes in clients until the server stops.
fn accept(hub: &Hub, mut next: impl FnMut() -> io::Result<Stream>) {
    while !hub.is_stopped() {
        let Ok(stream) = next() else {
            // There may be no descriptors left for the moment.
            thread::sleep(Duration::from_millis(10));
            continue;
        };
        let Some(place) = hub.connect(&stream) else {
            continue;
        };
        let hub = hub.clone();
        // Without a thread nobody listens, and the client sees the connection end.
        let _ = spawn(move || connection::serve(&hub, stream, place));
    }
}
