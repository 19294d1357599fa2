//! `rkt image validate`: what actool did.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

use anyhow::Context;
use appc::{ImageManifest, PodManifest};

use crate::archive::Limits;
use crate::archive::limits::MAX_MANIFEST;
use crate::cli::output::print_line;
use crate::cli::{FAILURE, Verb, parse};
use crate::log;
use crate::store;

/// `rkt image validate`.
pub const VERB: Verb = Verb {
    name: "validate",
    about: "Check ACI files, image manifests and pod manifests against the specification",
    privileged: false,
    command: || parse::command::<Validate>("image validate", VERB.about),
    run,
};

/// Flags of `rkt image validate`.
#[derive(Debug, clap::Args)]
pub struct Validate {
    /// ACIs or manifests
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

fn run(words: &[String]) -> anyhow::Result<u8> {
    let parsed = parse::parse::<Validate>((VERB.command)(), words)?;
    let mut failed = false;
    for path in &parsed.own.files {
        match validate(path) {
            Ok(kind) => print_line(format_args!("{}: valid {kind}", path.display())),
            Err(error) => {
                failed = true;
                log::error(VERB.name, &error.context(format!("{} is not valid", path.display())));
            }
        }
    }
    Ok(if failed { FAILURE } else { 0 })
}

/// Checks one file and says what it is.
fn validate(path: &Path) -> anyhow::Result<&'static str> {
    let mut file = File::open(path).context("Cannot open it")?;
    let mut first = [0];
    let json = file.read(&mut first)? == 1 && first[0].is_ascii_whitespace() | (first[0] == b'{');
    file.rewind()?;
    if !json {
        store::check_aci(file, Limits::from_env())?;
        return Ok("app container image");
    }
    let mut text = Vec::new();
    file.take(MAX_MANIFEST).read_to_end(&mut text)?;
    let kind: serde_json::Value = serde_json::from_slice(&text)?;
    match kind.get("acKind").and_then(|kind| kind.as_str()) {
        Some("PodManifest") => PodManifest::from_slice(&text).map(|_| "pod manifest").map_err(Into::into),
        _ => ImageManifest::from_slice(&text).map(|_| "image manifest").map_err(Into::into),
    }
}
