//! The command line: one verb per file.
//!
//! [`dispatch`] finds the verb among the words, the verb's file defines its flags with clap and does its work. What
//! clap cannot express, images each with flags and arguments of their own, is cut into pieces by
//! [`grammar`] first.

mod dispatch;
mod flags;
pub mod grammar;
mod help;
mod parse;
mod verb;
mod version;

pub use dispatch::main;
pub use flags::GlobalFlags;
pub use parse::{Parsed, parse};
pub use verb::{Entry, Verb};

use verb::Entry::One;

/// The status of every failure that rkt itself finds.
pub const FAILURE: u8 = 254;

/// Every command, in the order in which help shows them.
pub const COMMANDS: &[Entry] = &[One(&help::VERB), One(&version::VERB)];
