//! `rkt fetch`.

use std::path::PathBuf;

use super::grammar::Grammar;
use super::output::print_line;
use super::{Verb, parse};
use crate::fetch::{Fetcher, PullPolicy};
use crate::store::Store;

/// Digits of a key shown without `--full`.
const SHORT: usize = 32;

/// `rkt fetch`.
pub const VERB: Verb = Verb {
    name: "fetch",
    about: "Fetch images and store them in the local store",
    privileged: false,
    command: || parse::command::<Fetch>("fetch", VERB.about),
    run,
};

/// Flags of `rkt fetch`.
#[derive(Debug, clap::Args)]
pub struct Fetch {
    /// When to ask remote servers: new, update, never
    #[arg(long, value_name = "POLICY", default_value = "update")]
    pull_policy: PullPolicy,

    /// Print the whole hash
    #[arg(long)]
    full: bool,

    /// Deprecated: as --pull-policy=never
    #[arg(long, hide = true)]
    store_only: bool,

    /// Deprecated: as --pull-policy=update
    #[arg(long, hide = true, conflicts_with = "store_only")]
    no_store: bool,
}

/// Flags of an image.
#[derive(Debug, clap::Args)]
struct ImageFlags {
    /// Detached signature of the preceding image
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,
}

fn run(words: &[String]) -> anyhow::Result<u8> {
    let image_command = || <ImageFlags as clap::Args>::augment_args(clap::Command::new("image"));
    let pieces = Grammar::new(&(VERB.command)(), &image_command(), &[], false).cut(words)?;
    let parsed = parse::parse::<Fetch>((VERB.command)(), &pieces.pod)?;
    let flags = parsed.own;
    if pieces.images.is_empty() {
        anyhow::bail!("must provide at least one image");
    }
    let policy = match flags.store_only {
        true => PullPolicy::Never,
        false => flags.pull_policy,
    };
    let store = Store::open(&parsed.global.data_dir()?)?;
    let fetcher = Fetcher::new(&store, parsed.global.fetch_settings(policy)?);
    for piece in &pieces.images {
        let matches = image_command().no_binary_name(true).try_get_matches_from(&piece.flags)?;
        let image = <ImageFlags as clap::FromArgMatches>::from_arg_matches(&matches)?;
        let key = fetcher.fetch(&piece.image, image.signature.as_deref())?;
        print_line(if flags.full { key.as_str() } else { key.short(SHORT) });
    }
    Ok(0)
}
