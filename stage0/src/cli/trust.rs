//! `rkt trust` (reference §1.6).

use super::output::error_line;
use super::{Verb, parse};
use crate::fetch::{Fetcher, PullPolicy, for_host};
use crate::store::Store;
use crate::trust::{Keystore, Scope, review};
use appc::{AcIdentifier, ImageName, Labels};

/// `rkt trust`.
pub const VERB: Verb = Verb {
    name: "trust",
    about: "Trust a key for image verification",
    privileged: false,
    command: || parse::command::<Trust>("trust", VERB.about),
    run,
};

/// Flags of `rkt trust`.
#[derive(Debug, clap::Args)]
pub struct Trust {
    /// Prefix of the images' names the key is trusted for
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<String>,

    /// Trust the key for all images
    #[arg(long)]
    root: bool,

    /// Trust the key without showing its fingerprint
    #[arg(long)]
    skip_fingerprint_review: bool,

    /// Allow keys to be fetched over plain http
    #[arg(long)]
    insecure_allow_http: bool,

    /// Files or URLs of keys; without any they are discovered from the prefix
    #[arg(value_name = "PUBKEY")]
    keys: Vec<String>,
}

fn run(words: &[String]) -> anyhow::Result<u8> {
    let parsed = parse::parse::<Trust>((VERB.command)(), words)?;
    let (flags, global) = (parsed.own, parsed.global);
    let scope = scope(&flags)?;
    let mut settings = global.fetch_settings(PullPolicy::Update)?;
    if flags.insecure_allow_http {
        settings.insecure = settings.insecure.with_pubkey();
    }
    let keystore = settings.keystore.clone();
    let store = Store::open(&global.data_dir()?)?;
    let fetcher = Fetcher::new(&store, settings);
    let locations = match (&flags.keys[..], &scope) {
        ([], Scope::Prefix(prefix)) => {
            let name = ImageName { name: prefix.clone(), labels: Labels::default() };
            fetcher.discover_keys(&for_host(name))?
        }
        ([], Scope::Root) => anyhow::bail!("a key is needed to trust it for all images"),
        (keys, _) => keys.to_vec(),
    };
    for location in &locations {
        trust(&fetcher, &keystore, &scope, location, flags.skip_fingerprint_review)?;
    }
    Ok(0)
}

fn scope(flags: &Trust) -> anyhow::Result<Scope> {
    match (&flags.prefix, flags.root) {
        (None, false) => anyhow::bail!(
            "aborting due to implicit unbounded trust: use --prefix to limit the key to images, or --root to trust \
             it for all of them"
        ),
        (Some(_), true) => anyhow::bail!("--root and --prefix are mutually exclusive"),
        (None, true) => Ok(Scope::Root),
        (Some(prefix), false) if prefix.contains("://") => {
            anyhow::bail!("prefix {prefix:?} must be the beginning of an image's name, not a URL")
        }
        (Some(prefix), false) => Ok(Scope::Prefix(prefix.parse::<AcIdentifier>()?)),
    }
}

fn trust(
    fetcher: &Fetcher<'_>,
    keystore: &Keystore,
    scope: &Scope,
    location: &str,
    skip_review: bool,
) -> anyhow::Result<()> {
    let key = fetcher.fetch_key(location)?;
    let prefix = match scope {
        Scope::Root => "",
        Scope::Prefix(prefix) => prefix.as_str(),
    };
    if !skip_review && !review(&key, prefix, location)? {
        anyhow::bail!("not trusting {location:?}");
    }
    let how = if skip_review { "without fingerprint review" } else { "after fingerprint review" };
    error_line(format_args!("Trusting {location:?} for prefix {prefix:?} {how}."));
    let path = keystore.trust(&key, scope)?;
    match scope {
        Scope::Root => error_line(format_args!("Added root key at {path:?}")),
        Scope::Prefix(_) => error_line(format_args!("Added key for prefix {prefix:?} at {path:?}")),
    }
    Ok(())
}
