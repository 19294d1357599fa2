//! `rkt cat-manifest`.

use std::path::PathBuf;

use super::shown_manifest::ManifestFlags;
use super::{Verb, parse, uuid_arg};
use crate::pod::Pods;

/// `rkt cat-manifest`.
pub const VERB: Verb = Verb {
    name: "cat-manifest",
    about: "Print the manifest of a pod",
    privileged: false,
    command: || parse::command::<CatManifest>("cat-manifest", VERB.about),
    run,
};

/// Flags of `rkt cat-manifest`.
#[derive(Debug, clap::Args)]
pub struct CatManifest {
    #[command(flatten)]
    shown: ManifestFlags,

    /// Read the UUID from this file
    #[arg(long, value_name = "FILE")]
    uuid_file: Option<PathBuf>,

    /// The pod
    #[arg(value_name = "UUID")]
    uuid: Option<String>,
}

fn run(words: &[String]) -> anyhow::Result<u8> {
    let parsed = parse::parse::<CatManifest>((VERB.command)(), words)?;
    let flags = parsed.own;
    let pods = Pods::new(&parsed.global.data_dir()?);
    let manifest = uuid_arg::one(&pods, flags.uuid.as_ref(), flags.uuid_file.as_ref())?.manifest()?;
    flags.shown.print(&manifest)
}
