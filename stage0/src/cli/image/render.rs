//! `rkt image render`.

use std::path::PathBuf;

use super::{find, output};
use crate::cli::{Verb, parse};
use crate::store::Store;

/// `rkt image render`.
pub const VERB: Verb = Verb {
    name: "render",
    about: "Render a stored image to a directory with all its dependencies",
    privileged: false,
    command: || parse::command::<Render>("image render", VERB.about),
    run,
};

/// Flags of `rkt image render`.
#[derive(Debug, clap::Args)]
pub struct Render {
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
    let parsed = parse::parse::<Render>((VERB.command)(), words)?;
    let flags = parsed.own;
    let store = Store::open(&parsed.global.data_dir()?)?;
    let key = find(&store, &flags.image)?;
    output::clear_directory(&flags.target, flags.overwrite)?;
    let _lock = store.prepare_lock()?;
    store.render_to(&key, &flags.target, flags.rootfs_only)?;
    Ok(0)
}
