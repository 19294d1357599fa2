//! `rkt image extract`.

use std::path::PathBuf;

use super::{find, output};
use crate::cli::{Verb, parse};
use crate::store::Store;

/// `rkt image extract`.
pub const VERB: Verb = Verb {
    name: "extract",
    about: "Extract a stored image to a directory",
    privileged: false,
    command: || parse::command::<Extract>("image extract", VERB.about),
    run,
};

/// Flags of `rkt image extract`.
#[derive(Debug, clap::Args)]
pub struct Extract {
    /// Write the content of rootfs only
    #[arg(long)]
    rootfs_only: bool,

    /// Replace the directory if it exists
    #[arg(long)]
    overwrite: bool,

    /// The image: its hash, or name
    #[arg(value_name = "IMAGE")]
    image: String,

    /// Where it goes
    #[arg(value_name = "DIR")]
    target: PathBuf,
}

fn run(words: &[String]) -> anyhow::Result<u8> {
    let parsed = parse::parse::<Extract>((VERB.command)(), words)?;
    let flags = parsed.own;
    let store = Store::open(&parsed.global.data_dir()?)?;
    let key = find(&store, &flags.image)?;
    output::clear_directory(&flags.target, flags.overwrite)?;
    let _lock = store.prepare_lock()?;
    store.extract_to(&key, &flags.target, flags.rootfs_only)?;
    Ok(0)
}
