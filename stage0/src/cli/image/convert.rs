//! `rkt image convert`: what docker2aci did.

use std::path::PathBuf;

use anyhow::Context;

use crate::cli::output::print_line;
use crate::cli::{Verb, parse};
use crate::fetch::{Fetcher, PullPolicy};
use crate::store::{Aside, Store};

/// `rkt image convert`.
pub const VERB: Verb = Verb {
    name: "convert",
    about: "Fetch a Docker or OCI image and write it as an ACI file",
    privileged: true,
    command: || parse::command::<Convert>("image convert", VERB.about),
    run,
};

/// Flags of `rkt image convert`.
#[derive(Debug, clap::Args)]
pub struct Convert {
    /// Replace the file if it exists
    #[arg(long)]
    overwrite: bool,

    /// When to ask remote servers: new, update, never
    #[arg(long, value_name = "POLICY", default_value = "new")]
    pull_policy: PullPolicy,

    /// The image: docker://…, oci:DIR[:TAG], oci-archive:FILE, docker-archive:FILE
    #[arg(value_name = "IMAGE")]
    image: String,

    /// Where the ACI goes
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

fn run(words: &[String]) -> anyhow::Result<u8> {
    let parsed = parse::parse::<Convert>((VERB.command)(), words)?;
    let flags = parsed.own;
    let path = std::path::absolute(&flags.file)?;
    if path.exists() && !flags.overwrite {
        anyhow::bail!("output ACI file exists (try --overwrite)");
    }
    let Some(dir) = path.parent() else { anyhow::bail!("{:?} is not a file name", flags.file) };
    let store = Store::open(&parsed.global.data_dir()?)?;
    let fetcher = Fetcher::new(&store, parsed.global.fetch_settings(flags.pull_policy)?);
    let key = fetcher.fetch(&flags.image, None)?;
    let _lock = store.prepare_lock()?;
    let cannot = || format!("Cannot write {path:?}");
    let mut file = Aside::readable(dir).with_context(cannot)?;
    store.export(&key, file.file())?;
    file.replace(&path).with_context(cannot)?;
    print_line(store.manifest(&key)?.name);
    Ok(0)
}
