//! Meta discovery: from an image's name to the places it may be fetched from. No I/O happens here.

mod meta;
mod template;

pub use meta::{MetaTag, meta_tags};
pub use template::{TemplateError, render};

use crate::image_name::ImageName;

/// The meta tag that names where images are.
const IMAGE_TAG: &str = "ac-discovery";
/// The meta tag that names where public keys are.
const KEYS_TAG: &str = "ac-discovery-pubkeys";

/// Where an image and its signature may be fetched from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageEndpoint {
    /// The image.
    pub aci: String,
    /// Its detached signature.
    pub signature: String,
}

/// The image endpoints a page names for `image`, in the page's order. Templates that need a label `image` does not
/// have are skipped, as are those whose image and signature would coincide.
pub fn image_endpoints(html: &str, image: &ImageName) -> Vec<ImageEndpoint> {
    matching(html, IMAGE_TAG, image)
        .filter_map(|template| {
            let aci = render(&template, image, "aci").ok()?;
            let signature = render(&template, image, "aci.asc").ok()?;
            (aci != signature).then_some(ImageEndpoint { aci, signature })
        })
        .collect()
}

/// The URLs of public keys a page names for `image`.
pub fn key_endpoints(html: &str, image: &ImageName) -> Vec<String> {
    matching(html, KEYS_TAG, image).collect()
}

/// What follows the prefix in tags named `tag` whose prefix `image` has.
fn matching<'a>(html: &'a str, tag: &'a str, image: &'a ImageName) -> impl Iterator<Item = String> + 'a {
    meta_tags(html).into_iter().filter(move |meta| meta.name == tag).filter_map(move |meta| {
        let mut words = meta.content.split_whitespace();
        let (prefix, rest) = (words.next()?, words.next()?);
        image.name.as_str().starts_with(prefix).then(|| rest.to_owned())
    })
}

/// The pages to ask for `name`, longest first: the name itself, then with path elements cut off down to the host.
pub fn candidates(name: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(name), |name| name.rsplit_once('/').map(|(parent, _)| parent))
}

#[cfg(test)]
mod tests;
