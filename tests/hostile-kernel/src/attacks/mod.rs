//! What a guest could try, by name: a file for each device.

mod balloon;
mod endings;
mod floods;
mod fs;
mod net;
mod races;
mod transport;
mod vsock;

use hostile_kernel::outcome::Outcome;

use crate::machine::Guest;

/// An attack.
pub type Attack = fn(&mut Guest) -> Outcome;

/// Attacks with their names.
type Table = &'static [(&'static str, Attack)];

const ALL: [Table; 8] = [
    transport::ATTACKS,
    fs::ATTACKS,
    vsock::ATTACKS,
    balloon::ATTACKS,
    net::ATTACKS,
    races::ATTACKS,
    floods::ATTACKS,
    endings::ATTACKS,
];

/// The attack of this name.
pub fn find(name: &str) -> Option<Attack> {
    ALL.iter().copied().flatten().find(|(known, _)| *known == name).map(|(_, attack)| *attack)
}
