//! The command line: one verb per file.
//!
//! [`dispatch`] finds the verb among the words, the verb's file defines its flags with clap and does its work. What
//! clap cannot express, images each with flags and arguments of their own, is cut into pieces by
//! [`grammar`] first.

pub mod grammar;

mod app;
mod attach;
mod cat_manifest;
mod collect;
mod completion;
mod config;
mod dispatch;
mod enter;
mod examples;
mod export;
mod fetch;
mod flags;
mod gc;
mod help;
mod image;
mod list;
mod listing;
mod logs;
mod old;
mod output;
mod parse;
mod pod_flags;
mod prepare;
mod rm;
mod run;
mod run_prepared;
mod running;
mod shown_manifest;
mod stats;
mod status;
mod stop;
mod top;
mod trust;
mod uuid_arg;
mod verb;
mod version;
mod whole;

pub use dispatch::main;
pub use flags::GlobalFlags;
pub use parse::{Parsed, parse};
pub use verb::{Entry, Verb};

use verb::Entry::One;

/// The status of every failure that rkt itself finds.
pub const FAILURE: u8 = 254;

/// Every command, in the order in which help shows them.
pub const COMMANDS: &[Entry] = &[
    app::GROUP,
    One(&attach::VERB),
    One(&cat_manifest::VERB),
    One(&completion::VERB),
    One(&config::VERB),
    One(&enter::VERB),
    One(&export::VERB),
    One(&fetch::VERB),
    One(&gc::VERB),
    One(&help::VERB),
    image::GROUP,
    One(&list::VERB),
    One(&logs::VERB),
    One(&prepare::VERB),
    One(&rm::VERB),
    One(&run::VERB),
    One(&run_prepared::VERB),
    One(&stats::VERB),
    One(&status::VERB),
    One(&stop::VERB),
    One(&top::VERB),
    One(&trust::VERB),
    One(&version::VERB),
];
