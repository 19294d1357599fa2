//! `rkt image extract`.

use super::output::ToDirectory;
use crate::cli::{Verb, parse};
use crate::store::Store;

/// `rkt image extract`.
pub const VERB: Verb = Verb {
    name: "extract",
    about: "Extract a stored image to a directory",
    privileged: false,
    command: || parse::command::<ToDirectory>("image extract", VERB.about),
    run,
};

fn run(words: &[String]) -> anyhow::Result<u8> {
    let parsed = parse::parse::<ToDirectory>((VERB.command)(), words)?;
    parsed.own.write(&parsed.global, Store::extract_to)
}
