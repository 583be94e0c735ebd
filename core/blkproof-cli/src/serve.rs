//! `blkproof serve`: disks that break, for other programs.
//!
//! The protocol lies in blkproof-qemu; here are the sockets and the threads. Each connection has
//! one, and a second one while requests of it wait; the main thread waits for a signal or for
//! `quit`. What they share is the [`Hub`].

mod connection;
mod control;
mod eager;
mod hub;
mod listen;
mod parked;
pub(crate) mod rules;

use std::time::Duration;

use blkproof_qemu::nbd::{DirtyBitmap, Export, SIZE_MAX};
use blkproof_spec::{FaultRule, ImageName, Length};
use indicatif::HumanBytes;

use crate::args::{CacheMode, NbdArgs, ServeArgs, ServeCommand};
use crate::error::Error;
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::json::{self, Record};
use crate::ui::Ui;
use rules::size as size_of;

pub(crate) use hub::{Hub, Limits, Loss};
pub(crate) use listen::{Endpoint, Listening};

/// The granularity of bitmaps that say none: that of QEMU on a raw image.
const GRANULARITY: u64 = 64 << 10;

/// Serves until it is told to stop.
pub(crate) fn run(args: &ServeArgs, ui: &mut Ui) -> Result<Exit, Error> {
    let ServeCommand::Nbd(args) = &args.command;
    let interrupt = Interrupt::listen().map_err(Error::Signals)?;
    let unusable = |why| Error::Unusable {
        what: "--name".to_owned(),
        why,
    };
    let name = rules::name(&args.name).map_err(unusable)?;
    let rules = match &args.rules {
        Some(path) => rules::load(path, &name, ui)?,
        None => Some(Vec::new()),
    };
    let Some(rules) = rules else {
        return Ok(Exit::Input);
    };
    let export = export(args, &name, &rules)?;
    let hub = Hub::new(export, limits(args));
    let mut listening = Listening::new(&hub);
    let uris = listen(args, &mut listening)?;
    announce(args, &hub, &uris, ui)?;
    while !interrupt.came() {
        if hub.is_stopped_after(Duration::from_millis(50)) {
            return Ok(Exit::Held);
        }
    }
    Ok(Exit::Interrupted)
}

fn limits(args: &NbdArgs) -> Limits {
    Limits {
        connections: args.connections as usize,
        handshake: Duration::from_secs(args.handshake_timeout.into()),
        cached: args.cache == CacheMode::Volatile,
    }
}

/// Makes the disk that the arguments ask for.
fn export(args: &NbdArgs, name: &ImageName, rules: &[FaultRule]) -> Result<Export, Error> {
    let unusable = |what: String, why: &dyn core::fmt::Display| Error::Unusable {
        what,
        why: why.to_string(),
    };
    let size = size_of(&args.size).map_err(|why| unusable("--size".into(), &why))?;
    if size.0 > SIZE_MAX {
        return Err(unusable("--size".into(), &"expected 16T at most"));
    }
    let cached = args.cache == CacheMode::Volatile;
    let export = Export::new(name, size, cached, args.read_only, rules)
        .map_err(|error| unusable("the disk".into(), &error))?;
    for text in &args.bitmap {
        let what = || format!("--bitmap {text}");
        let (name, granularity) = match text.rsplit_once(':') {
            Some((name, size)) => (
                name,
                rules::size(size).map_err(|why| unusable(what(), &why))?,
            ),
            None => (text.as_str(), Length(GRANULARITY)),
        };
        let made = DirtyBitmap::new(name, granularity.0, true);
        let added = made.and_then(|bitmap| export.add_bitmap(bitmap));
        added.map_err(|why| unusable(what(), &why))?;
    }
    Ok(export)
}

/// Listens everywhere where the arguments want it, and returns where clients find the disk.
fn listen(args: &NbdArgs, listening: &mut Listening) -> Result<Vec<String>, Error> {
    let mut uris = Vec::new();
    if let Some(path) = &args.socket {
        listening.clients(&Endpoint::Unix(path.clone()))?;
        let path = path.display();
        uris.push(format!("nbd+unix:///{}?socket={path}", args.name));
    }
    if let Some(address) = args.tcp {
        let address = listening.clients(&Endpoint::Tcp(address))?;
        uris.push(format!("nbd://{address}/{}", args.name));
    }
    if let Some(path) = &args.control {
        listening.control(path)?;
    }
    Ok(uris)
}

/// Says that clients can come now.
fn announce(args: &NbdArgs, hub: &Hub, uris: &[String], ui: &mut Ui) -> Result<(), Error> {
    let name: &ImageName = hub.export().name();
    let size = hub.export().size();
    let bytes = HumanBytes(size);
    ui.say(format_args!("serving {name}, {bytes}: {}", uris.join(" ")))?;
    let control = args.control.as_ref().map(|path| path.display().to_string());
    if let Some(path) = &control {
        ui.say(format_args!("commands: {path}"))?;
    }
    ui.emit(&Record::Serving(json::Serving {
        name: name.as_str(),
        size,
        uris,
        control,
    }))
}
