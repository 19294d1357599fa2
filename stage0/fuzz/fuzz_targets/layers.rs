//! Images of up to three imagined layers: unpacked, stacked, walked, verified, and removed without a trace.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sha2::{Digest, Sha256};
use stage0::archive::{Entry, Kind, Limits, TarWriter};
use stage0::store::{LayerInfo, Store};
use stage0::tree::layer::LayerLock;
use stage0::tree::{RenderError, Used};
use stage0_fuzz::{Cage, Forged, archive};

const MANIFEST: &[u8] = br#"{"acKind":"ImageManifest","acVersion":"0.8.11","name":"a"}"#;
const LIMITS: Limits = Limits { bytes: 1 << 20, entries: 200 };

thread_local! {
    static CAGE: Cage = Cage::default();
}

fn aci() -> Vec<u8> {
    let mut writer = TarWriter::new(Vec::new());
    let manifest = Entry::new(b"manifest", Kind::File, 0o644).sized(MANIFEST.len() as u64);
    writer.entry(&manifest, &mut &MANIFEST[..]).expect("an entry");
    writer.entry(&Entry::new(b"rootfs", Kind::Directory, 0o755), &mut std::io::empty()).expect("an entry");
    writer.finish().expect("an archive")
}

fn render(store: &Store, layers: &[Vec<Forged>]) -> Result<(), RenderError> {
    let mut infos: Vec<LayerInfo> = Vec::new();
    for layer in layers {
        let bytes = archive(layer);
        let diff_id = hex::encode(Sha256::digest(&bytes));
        let (digest, size) = (diff_id.clone(), bytes.len() as u64);
        let path = store.layer_blob(&diff_id);
        store.dirs().make_fan_out(&path).expect("a directory");
        std::fs::write(&path, &bytes).expect("a file");
        infos.push(LayerInfo { diff_id, digest, media_type: String::new(), size });
        let lock = LayerLock::new(store, &infos[infos.len() - 1].diff_id).expect("the lock");
        lock.unpack(store, &bytes[..], LIMITS)?;
        lock.discard(store)?;
    }
    let staged = store.stage(&aci()[..], LIMITS).expect("an image");
    let key = store.publish(staged, &infos, false).expect("an image").key;
    let tree = store.render(&key);
    let walked = tree.and_then(|tree| {
        tree.visit(b"", |_, _, _, content| -> Result<(), RenderError> {
            let _ = content.read_to_end(&mut Vec::new());
            Ok(())
        })?;
        store.verify(&key, |changed| panic!("changed without a cause: {changed:?}")).map(drop)
    });
    store.remove(&key).expect("removal");
    walked
}

fuzz_target!(|layers: [Vec<Forged>; 3]| {
    CAGE.with(|cage| {
        let store = Store::open(&cage.inside()).expect("a store");
        let _ = render(&store, &layers);
        let lock = store.removal_lock().expect("the lock");
        store.remove_unused_trees(&Used::default()).expect("removal");
        store.sweep().expect("removal");
        drop((lock, store));
        let trees = std::fs::read_dir(cage.inside().join("cas/tree")).expect("the trees").count();
        assert_eq!(trees, 0, "a tree is left");
        cage.check();
    });
});
