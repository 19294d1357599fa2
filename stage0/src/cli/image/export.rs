//! `rkt image export`.

use std::path::PathBuf;

use anyhow::Context;

use super::find;
use crate::cli::{Verb, parse};
use crate::store::{Aside, Store};

/// `rkt image export`.
pub const VERB: Verb = Verb {
    name: "export",
    about: "Export a stored image to an ACI file",
    privileged: false,
    command: || parse::command::<Export>("image export", VERB.about),
    run,
};

/// Flags of `rkt image export`.
#[derive(Debug, clap::Args)]
pub struct Export {
    /// Replace the file if it exists
    #[arg(long)]
    overwrite: bool,

    /// The image: its hash, or name
    #[arg(value_name = "IMAGE")]
    image: String,

    /// Where the ACI goes
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

fn run(words: &[String]) -> anyhow::Result<u8> {
    let parsed = parse::parse::<Export>((VERB.command)(), words)?;
    let flags = parsed.own;
    let store = Store::open(&parsed.global.data_dir()?)?;
    let key = find(&store, &flags.image)?;
    let path = std::path::absolute(&flags.file)?;
    if path.exists() && !flags.overwrite {
        anyhow::bail!("output ACI file exists (try --overwrite)");
    }
    let Some(dir) = path.parent() else { anyhow::bail!("{:?} is not a file name", flags.file) };
    let cannot = || format!("Cannot write {path:?}");
    let mut file = Aside::readable(dir).with_context(cannot)?;
    store.export(&key, file.file())?;
    file.replace(&path).with_context(cannot)?;
    Ok(0)
}
