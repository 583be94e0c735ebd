//! The negotiation: fixed newstyle, up to the moment when an export is used.

use super::bitmap::CONTEXT_PREFIX;
use super::offer::{ALLOCATION, Offer};
use super::option::{choice, queries};
use super::outbox::Outbox;
use super::wire::{self, MAX_CONTEXTS, MAX_OPTION, handshake, info, option, option_reply as reply};

/// How long the head of an option is: magic, option, length.
const HEAD: usize = 16;

/// A negotiation.
#[derive(Debug)]
pub(crate) struct Handshake {
    offer: Offer,
    greeted: bool,
    no_zeroes: bool,
    agreed: Agreed,
    /// The option whose data is too long: it is answered when that was skipped.
    skipping: Option<Skipping>,
}

#[derive(Clone, Copy, Debug)]
struct Skipping {
    option: u32,
    left: u64,
}

/// What was agreed upon.
#[derive(Clone, Default, Debug)]
pub(crate) struct Agreed {
    /// Replies may be structured.
    pub(crate) structured: bool,
    /// The metadata contexts that were selected, with their numbers.
    pub(crate) contexts: Vec<(u32, Context)>,
}

/// A metadata context.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Context {
    Allocation,
    Bitmap(String),
}

/// What comes of a piece of the negotiation.
#[derive(Debug)]
pub(crate) enum Progress {
    /// So many bytes have to be there before it goes on.
    Need(usize),
    /// So many bytes were taken in.
    Taken(usize),
    /// The same, and the export is in use from now on.
    Done(usize),
    /// The connection ends here.
    End(&'static str),
}

/// How an option is answered at the end.
type Answer = Result<(), (u32, &'static str)>;

impl Handshake {
    /// Begins a negotiation.
    pub(crate) fn new(offer: Offer, out: &mut Outbox) -> Self {
        out.push(&wire::GREETING);
        out.u16(handshake::FIXED_NEWSTYLE | handshake::NO_ZEROES);
        Self {
            offer,
            greeted: false,
            no_zeroes: false,
            agreed: Agreed::default(),
            skipping: None,
        }
    }

    /// Returns what was agreed upon, and what was offered.
    pub(crate) fn finish(&mut self) -> (Agreed, &Offer) {
        (core::mem::take(&mut self.agreed), &self.offer)
    }

    /// Takes in what stands at the front of `input`.
    pub(crate) fn step(&mut self, input: &[u8], out: &mut Outbox) -> Progress {
        if !self.greeted {
            return self.client_flags(input);
        }
        if let Some(skipping) = &mut self.skipping {
            let taken = usize::try_from(skipping.left).map_or(input.len(), |n| n.min(input.len()));
            skipping.left -= taken as u64;
            if skipping.left == 0 {
                let option = skipping.option;
                self.skipping = None;
                answer(option, Err((reply::TOO_BIG, "the option is too long")), out);
            }
            return if taken == 0 {
                Progress::Need(1)
            } else {
                Progress::Taken(taken)
            };
        }
        let Some((head, rest)) = input.split_first_chunk::<HEAD>() else {
            return Progress::Need(HEAD);
        };
        let [magic @ .., _, _, _, _, _, _, _, _] = *head;
        if magic != wire::OPTION_MAGIC {
            return Progress::End("an option does not begin as options do");
        }
        let number =
            |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let (option, len) = (number(8), number(12));
        if len > MAX_OPTION {
            return self.skip(option, len);
        }
        let Some(data) = usize::try_from(len).ok().and_then(|len| rest.get(..len)) else {
            return Progress::Need(HEAD + len as usize);
        };
        self.option(option, data, out)
    }

    fn client_flags(&mut self, input: &[u8]) -> Progress {
        let Some(flags) = input.first_chunk::<4>() else {
            return Progress::Need(4);
        };
        let flags = u32::from_be_bytes(*flags);
        let known = u32::from(handshake::FIXED_NEWSTYLE | handshake::NO_ZEROES);
        if flags & !known != 0 {
            return Progress::End("the client sets flags that nobody offered");
        }
        self.greeted = true;
        self.no_zeroes = flags & u32::from(handshake::NO_ZEROES) != 0;
        Progress::Taken(4)
    }

    fn skip(&mut self, option: u32, len: u32) -> Progress {
        if option == option::EXPORT_NAME {
            return Progress::End("the name of the export is too long");
        }
        self.skipping = Some(Skipping {
            option,
            left: u64::from(len),
        });
        Progress::Taken(HEAD)
    }

    /// Answers an option.
    fn option(&mut self, option: u32, data: &[u8], out: &mut Outbox) -> Progress {
        let taken = HEAD + data.len();
        let result = match option {
            option::EXPORT_NAME => return self.export_name(data, taken, out),
            option::ABORT => {
                answer(option, Ok(()), out);
                return Progress::End("the client ends the negotiation");
            }
            option::LIST => self.list(data, out),
            option::INFO | option::GO => self.information(option, data, out),
            option::STRUCTURED_REPLY => self.structured_reply(data),
            option::LIST_META_CONTEXT => self.list_contexts(data, out),
            option::SET_META_CONTEXT => self.set_contexts(data, out),
            option::STARTTLS if !data.is_empty() => Err((reply::INVALID, "no data is expected")),
            option::STARTTLS => Err((reply::POLICY, "there is no TLS here")),
            _ => Err((reply::UNSUPPORTED, "the option is not known here")),
        };
        answer(option, result, out);
        if option == option::GO && result.is_ok() {
            return Progress::Done(taken);
        }
        Progress::Taken(taken)
    }

    fn export_name(&mut self, name: &[u8], taken: usize, out: &mut Outbox) -> Progress {
        if self.offer.refused.is_some() {
            return Progress::End("the client is refused");
        }
        if !self.offer.is_named(name) {
            return Progress::End("the client asks for an export that is not here");
        }
        out.u64(self.offer.size);
        out.u16(self.offer.flags(self.agreed.structured));
        if !self.no_zeroes {
            out.push(&[0; 124]);
        }
        Progress::Done(taken)
    }

    fn list(&mut self, data: &[u8], out: &mut Outbox) -> Answer {
        if !data.is_empty() {
            return Err((reply::INVALID, "no data is expected"));
        }
        let name = self.offer.name.as_bytes();
        let len = u32::try_from(name.len()).unwrap_or(0).to_be_bytes();
        let server = [&len[..], name, self.offer.description.as_bytes()].concat();
        part(option::LIST, reply::SERVER, &server, out);
        Ok(())
    }

    fn information(&mut self, option: u32, data: &[u8], out: &mut Outbox) -> Answer {
        let choice = choice(data).ok_or((reply::INVALID, "the option's data is broken"))?;
        if !self.offer.is_named(choice.name) {
            return Err((reply::UNKNOWN, "there is no export of this name"));
        }
        if self.offer.refused.is_some() {
            return Err((reply::POLICY, "too many clients are connected"));
        }
        let mut export = info::EXPORT.to_be_bytes().to_vec();
        export.extend(self.offer.size.to_be_bytes());
        export.extend(self.offer.flags(self.agreed.structured).to_be_bytes());
        part(option, reply::INFO, &export, out);
        for kind in choice.wanted {
            if let Some(payload) = self.offer.information(kind) {
                part(option, reply::INFO, &payload, out);
            }
        }
        Ok(())
    }

    fn structured_reply(&mut self, data: &[u8]) -> Answer {
        if !data.is_empty() {
            return Err((reply::INVALID, "no data is expected"));
        }
        self.agreed.structured = true;
        Ok(())
    }

    fn list_contexts(&mut self, data: &[u8], out: &mut Outbox) -> Answer {
        let asked = self.queries(data)?;
        for (_, name) in self.offer.contexts() {
            let lists = |query: &&str| matches(query, &name) || is_wildcard_for(query, &name);
            if asked.is_empty() || asked.iter().any(lists) {
                context(option::LIST_META_CONTEXT, 0, &name, out);
            }
        }
        Ok(())
    }

    fn set_contexts(&mut self, data: &[u8], out: &mut Outbox) -> Answer {
        self.agreed.contexts.clear();
        let asked = self.queries(data)?;
        let mut selected = Vec::new();
        for (number, name) in self.offer.contexts() {
            if asked.iter().any(|query| matches(query, &name)) {
                selected.push((number, name));
            }
        }
        if selected.len() > MAX_CONTEXTS {
            return Err((reply::TOO_BIG, "too many metadata contexts"));
        }
        for (number, name) in selected {
            context(option::SET_META_CONTEXT, number, &name, out);
            let kind = match name.strip_prefix(CONTEXT_PREFIX) {
                Some(bitmap) => Context::Bitmap(bitmap.to_owned()),
                None => Context::Allocation,
            };
            self.agreed.contexts.push((number, kind));
        }
        Ok(())
    }

    fn queries<'a>(&self, data: &'a [u8]) -> Result<Vec<&'a str>, (u32, &'static str)> {
        if !self.agreed.structured {
            return Err((reply::INVALID, "structured replies come first"));
        }
        let asked = queries(data).ok_or((reply::INVALID, "the option's data is broken"))?;
        if !self.offer.is_named(asked.name) {
            return Err((reply::UNKNOWN, "there is no export of this name"));
        }
        Ok(asked.queries)
    }
}

/// Tells whether a query names this context.
fn matches(query: &str, context: &str) -> bool {
    query == context
}

/// Tells whether a query asks for all contexts of a kind to which this one belongs.
fn is_wildcard_for(query: &str, context: &str) -> bool {
    let kinds: &[&str] = if context == ALLOCATION {
        &["base:"]
    } else {
        &["qemu:", CONTEXT_PREFIX]
    };
    kinds.contains(&query)
}

/// Sends the end of the answer to an option.
fn answer(option: u32, answer: Answer, out: &mut Outbox) {
    match answer {
        Ok(()) => part(option, reply::ACK, &[], out),
        Err((kind, message)) => part(option, kind, message.as_bytes(), out),
    }
}

fn context(option: u32, number: u32, name: &str, out: &mut Outbox) {
    let payload = [&number.to_be_bytes()[..], name.as_bytes()].concat();
    part(option, reply::META_CONTEXT, &payload, out);
}

/// Sends a part of the answer to an option.
fn part(option: u32, kind: u32, payload: &[u8], out: &mut Outbox) {
    out.u64(wire::OPTION_REPLY_MAGIC);
    out.u32(option);
    out.u32(kind);
    out.u32(u32::try_from(payload.len()).unwrap_or(u32::MAX));
    out.push(payload);
}
