//! `rkt image cat-manifest`.

use super::find;
use crate::cli::output::print_line;
use crate::cli::{Verb, parse};
use crate::display::{to_json, to_pretty_json};
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
    /// Indent the output
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "true",
          default_missing_value = "true", value_parser = parse::parse_bool, action = clap::ArgAction::Set)]
    pretty_print: bool,

    /// The image: its hash, or name
    #[arg(value_name = "IMAGE")]
    image: String,
}

fn run(words: &[String]) -> anyhow::Result<u8> {
    let parsed = parse::parse::<CatManifest>((VERB.command)(), words)?;
    let store = Store::open(&parsed.global.data_dir()?)?;
    let manifest = store.manifest(&find(&store, &parsed.own.image)?)?;
    print_line(if parsed.own.pretty_print { to_pretty_json(&manifest)? } else { to_json(&manifest)? });
    Ok(0)
}
