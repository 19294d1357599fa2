//! `rkt install`, which made the data directory for the group `rkt`.

use crate::cli::{Verb, output, parse};
use crate::pod::Pods;
use crate::store::{Store, rkt_group};

/// `rkt install`.
pub const VERB: Verb = Verb {
    name: "install",
    about: "Make the data directory",
    privileged: true,
    command: || parse::command::<Install>("install", VERB.about),
    run,
};

/// Flags of `rkt install`: none.
#[derive(Debug, clap::Args)]
pub struct Install {}

fn run(words: &[String]) -> anyhow::Result<u8> {
    let parsed = parse::parse::<Install>((VERB.command)(), words)?;
    let dir = parsed.global.data_dir()?;
    Store::open(&dir)?;
    Pods::new(&dir).ensure()?;
    output::error_line("install: hint: no longer needed, rkt makes its directories when it first needs them");
    if rkt_group().is_none() {
        output::error_line(
            "install: hint: groupadd --system rkt lets members of that group see pods and images",
        );
    }
    Ok(0)
}
