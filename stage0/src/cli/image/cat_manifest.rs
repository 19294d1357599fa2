//! `rkt image cat-manifest`.

use super::find;
use crate::cli::shown_manifest::ManifestFlags;
use crate::cli::{Verb, parse};
use crate::store::Store;

/// `rkt image cat-manifest`.
pub const VERB: Verb = Verb {
    name: "cat-manifest",
    about: "Inspect and print the image manifest",
    privileged: false,
    command: || parse::command::<CatManifest>("image cat-manifest", VERB.about),
    run,
};

/// Flags of `rkt image cat-manifest`.
#[derive(Debug, clap::Args)]
pub struct CatManifest {
    #[command(flatten)]
    shown: ManifestFlags,

    /// The image: its hash, or name
    #[arg(value_name = "IMAGE")]
    image: String,
}

fn run(words: &[String]) -> anyhow::Result<u8> {
    let parsed = parse::parse::<CatManifest>((VERB.command)(), words)?;
    let store = Store::open(&parsed.global.data_dir()?)?;
    let manifest = store.manifest(&find(&store, &parsed.own.image)?)?;
    parsed.own.shown.print(&manifest)
}
