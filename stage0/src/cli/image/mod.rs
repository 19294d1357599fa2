//! `rkt image`: what is in the store.

mod build;
mod cat_manifest;
mod convert;
mod export;
mod extract;
mod gc;
mod list;
mod output;
mod render;
mod rm;
mod validate;
mod verify;

use super::Entry;
use crate::fetch::ImageArg;
use crate::store::{Key, LookupError, Store};

/// `rkt image`.
pub const GROUP: Entry = Entry::Group {
    name: "image",
    about: "Operate on images in the local store",
    verbs: &[
        &build::VERB,
        &cat_manifest::VERB,
        &convert::VERB,
        &export::VERB,
        &extract::VERB,
        &gc::VERB,
        &list::VERB,
        &render::VERB,
        &rm::VERB,
        &validate::VERB,
        &verify::VERB,
    ],
};

/// The image in the store that a user means by its hash, its name, or where it was fetched from.
pub(super) fn find(store: &Store, text: &str) -> anyhow::Result<Key> {
    match ImageArg::parse(text)? {
        ImageArg::Hash(hash) => Ok(store.find_key(&hash)?),
        ImageArg::Name(name) => {
            let found = store.find_name(&name.name, &name.labels)?;
            Ok(found.ok_or_else(|| LookupError::Name(text.to_owned()))?)
        }
        ImageArg::Docker(reference) => {
            let remote = store.index().remote(&format!("docker://{reference}"))?;
            Ok(remote.map(|remote| remote.key).ok_or_else(|| LookupError::Name(text.to_owned()))?)
        }
        ImageArg::Url(url) => {
            let remote = store.index().remote(url.as_str())?;
            Ok(remote.map(|remote| remote.key).ok_or_else(|| LookupError::Name(text.to_owned()))?)
        }
        ImageArg::File(_) | ImageArg::Local(_) => Err(LookupError::Name(text.to_owned()).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_are_consistent() {
        let Entry::Group { verbs, .. } = GROUP else { panic!("image is a group") };
        for verb in verbs {
            (verb.command)().debug_assert();
        }
    }
}
