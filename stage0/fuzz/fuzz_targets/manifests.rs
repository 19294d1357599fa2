//! Documents of strangers: manifests of ACIs and pods, of registries' images, and what they become.
#![no_main]

use appc::{ImageManifest, PodManifest};
use libfuzzer_sys::fuzz_target;
use stage0::convert::{Origin, archive, image_manifest};
use stage0::registry::Digest;
use stage0::registry::manifest::{Config, Descriptor, Document, Manifest};

/// A manifest with as many layers as the configuration names, so that the configuration is what is looked at.
fn manifest_of(config: &[u8]) -> Option<Manifest> {
    let names = config.windows(7).filter(|part| part == b"sha256:").count().min(100);
    let digest = Digest::of(config);
    let descriptor = Descriptor {
        media_type: String::new(),
        digest,
        size: config.len() as u64,
        platform: None,
        annotations: Default::default(),
    };
    Some(Manifest { config: descriptor.clone(), layers: vec![descriptor; names] })
}

fn convert(data: &[u8]) -> Option<()> {
    let manifest = manifest_of(data)?;
    let config = Config::parse(data, &manifest).ok()?;
    let origin = Origin::registry(&"a/b:c".parse().ok()?, Digest::of(data));
    let converted = image_manifest(&origin, &manifest, &config).ok()?;
    let bytes = archive(&converted).expect("what was converted can be written");
    stage0::store::check_aci(&bytes[..], Default::default()).expect("what was converted is valid");
    Some(())
}

fuzz_target!(|data: &[u8]| {
    if let Ok(manifest) = ImageManifest::from_slice(data) {
        let bytes = manifest.to_vec().expect("what was read can be written");
        assert_eq!(ImageManifest::from_slice(&bytes).expect("and read again"), manifest);
    }
    if let Ok(manifest) = PodManifest::from_slice(data) {
        let bytes = manifest.to_vec().expect("what was read can be written");
        PodManifest::from_slice(&bytes).expect("and read again");
    }
    if let Ok(Document::Index(index)) = Document::parse(data) {
        let _ = index.for_host();
    }
    let _ = convert(data);
});
