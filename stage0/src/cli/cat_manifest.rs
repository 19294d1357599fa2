//! `rkt cat-manifest`.

use super::shown_manifest::ManifestFlags;
use super::{Verb, parse, uuid_arg::PodArg};
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

    #[command(flatten)]
    pod: PodArg,
}

fn run(words: &[String]) -> anyhow::Result<u8> {
    let parsed = parse::parse::<CatManifest>((VERB.command)(), words)?;
    let flags = parsed.own;
    let pods = Pods::new(&parsed.global.data_dir()?);
    let manifest = flags.pod.find(&pods)?.manifest()?;
    flags.shown.print(&manifest)
}
