//! `rkt image render`.

use super::output::ToDirectory;
use crate::cli::{Verb, parse};
use crate::store::Store;

/// `rkt image render`.
pub const VERB: Verb = Verb {
    name: "render",
    about: "Render a stored image to a directory with all its dependencies",
    privileged: false,
    command: || parse::command::<ToDirectory>("image render", VERB.about),
    run,
};

fn run(words: &[String]) -> anyhow::Result<u8> {
    let parsed = parse::parse::<ToDirectory>((VERB.command)(), words)?;
    parsed.own.write(&parsed.global, Store::render_to)
}
