//! `rkt image verify`.

use super::find;
use crate::cli::output::{error_line, print_line};
use crate::cli::{Verb, parse};
use crate::store::Store;
use crate::tree::Verdict;

/// `rkt image verify`.
pub const VERB: Verb = Verb {
    name: "verify",
    about: "Verify one or more rendered images in the local store",
    privileged: false,
    command: || parse::command::<Verify>("image verify", VERB.about),
    run,
};

/// Flags of `rkt image verify`.
#[derive(Debug, clap::Args)]
pub struct Verify {
    /// The images: hashes, or names
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
}

fn run(words: &[String]) -> anyhow::Result<u8> {
    let parsed = parse::parse::<Verify>((VERB.command)(), words)?;
    let store = Store::open(&parsed.global.data_dir()?)?;
    for image in &parsed.own.images {
        let key = find(&store, image)?;
        let _lock = store.prepare_lock()?;
        let verdict = store.verify(&key, |changed| {
            let changed = changed.join(", ");
            error_line(format_args!(
                "image: tree cache verification failed for image {image}: {changed} changed;  rebuilding..."
            ));
        })?;
        match verdict {
            Verdict::NotRendered => {
                print_line(format_args!("image {image:?} not rendered; no verification needed"))
            }
            Verdict::Intact => {
                print_line(format_args!("successfully verified checksum for image: {image:?} (\"{key}\")"))
            }
            Verdict::Rebuilt(_) => {}
        }
    }
    Ok(0)
}
