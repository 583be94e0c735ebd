//! A disk that breaks, as an NBD export.
//!
//! There are no sockets here and no threads. A [`Session`] is one connection as a state machine:
//! it is handed the bytes that came in, takes from their front what is complete, and says what is
//! to be done; what it answers goes to an [`Outbox`]. A [`Client`] carries out the requests on an
//! [`Export`], which all connections share. Whoever owns the socket moves the bytes between them,
//! and makes a request again that had to wait.
//!
//! Nothing is allocated because of a length that a client named: what does not fit is refused by
//! its header, and its data is skipped as it comes.

mod wire;

mod outbox;

mod offer;

mod option;

mod handshake;

mod request;

mod reply;

mod session;

mod bitmap;

mod status;

mod export;

pub use bitmap::{BitmapError, DirtyBitmap};
pub use export::{Client, Export, SIZE_MAX};
pub use offer::Offer;
pub use outbox::{KEPT, Outbox};
pub use request::{Operation, Request};
pub use session::{Session, Step};
pub use wire::{MAX_CONTEXTS, MAX_PAYLOAD};
