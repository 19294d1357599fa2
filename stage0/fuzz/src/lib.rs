//! What the targets share: a cage whose walls are looked at, archives of imagined entries, a server that says anything.

mod cage;
mod forged;
mod server;

pub use cage::Cage;
pub use forged::{Forged, archive};
pub use server::Server;
