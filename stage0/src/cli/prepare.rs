//! `rkt prepare`, and what `rkt run` shares with it (reference §2.7).

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use appc::{AcName, ImageManifest, PodManifest};

use super::pod_flags::{PrepareFlags, Request, grammar_command, parse_words};
use super::{GlobalFlags, Verb, output};
use crate::assemble::{AppRequest, complete_given_manifest, pod_manifest};
use crate::fetch::Fetcher;
use crate::launch::{self, Preparation};
use crate::pod::{LockedPod, Place, Pods, overlay};
use crate::stage1;
use crate::store::{Key, Store};

/// `rkt prepare`.
pub const VERB: Verb = Verb {
    name: "prepare",
    about: "Prepare to run image(s) in a pod",
    privileged: true,
    command: || grammar_command::<Prepare>("prepare", VERB.about),
    run,
};

/// Flags of `rkt prepare`.
#[derive(Debug, clap::Args)]
pub struct Prepare {
    #[command(flatten)]
    prepare: PrepareFlags,

    /// Print nothing but the UUID
    #[arg(long)]
    quiet: bool,
}

fn run(words: &[String]) -> anyhow::Result<u8> {
    let (parsed, images) = parse_words::<Prepare>((VERB.command)(), words)?;
    let flags = parsed.own;
    flags.prepare.check(&images)?;
    let store = Store::open(&parsed.global.data_dir()?)?;
    let wish = Wish { flags: &flags.prepare, images: &images, interactive: false };
    let mut pod = wish.prepare(&parsed.global, &store, |_| Ok(()))?;
    pod.sync()?;
    pod.move_to(Place::Prepared)?;
    output::print_line(pod.uuid());
    Ok(0)
}

/// What the user wants of a pod.
#[derive(Debug)]
pub struct Wish<'a> {
    /// Flags of the pod.
    pub flags: &'a PrepareFlags,
    /// Images with their flags.
    pub images: &'a [Request],
    /// Whether the app gets the terminal.
    pub interactive: bool,
}

/// The manifest of a pod and the images of its apps.
struct Plan {
    manifest: PodManifest,
    apps: Vec<(AcName, Key)>,
}

impl Wish<'_> {
    /// Makes a pod and fills its directory. `made` is called as soon as the directory exists.
    pub fn prepare(
        &self,
        global: &GlobalFlags,
        store: &Store,
        made: impl FnOnce(&LockedPod) -> anyhow::Result<()>,
    ) -> anyhow::Result<LockedPod> {
        let data_dir = global.data_dir()?;
        let fetcher = Fetcher::new(store, global.fetch_settings(self.flags.policy())?);
        let lock = store.prepare_lock()?;
        let stage1 = stage1::find(store, &fetcher, &self.flags.stage1.choice()?)
            .context("error finding stage1 image")?;
        let plan = match &self.flags.pod_manifest {
            Some(path) => given(store, path)?,
            None => self.assemble(store, &fetcher)?,
        };
        let pod = Pods::new(&data_dir).create().context("error creating new pod")?;
        made(&pod)?;
        let preparation = Preparation {
            manifest: &plan.manifest,
            apps: &plan.apps,
            stage1: &stage1,
            overlay: overlay(self.flags.no_overlay, &data_dir),
        };
        launch::prepare(&pod, store, &preparation).context("error setting up the pod")?;
        drop(lock);
        Ok(pod)
    }

    fn assemble(&self, store: &Store, fetcher: &Fetcher<'_>) -> anyhow::Result<Plan> {
        let mut found = Vec::new();
        for request in self.images {
            let key = fetcher.fetch(&request.image, request.overrides.signature.as_deref())?;
            let manifest = store.manifest(&key)?;
            found.push((request, key, manifest));
        }
        let requests: Vec<_> = found
            .iter()
            .map(|(request, key, image)| AppRequest {
                id: key.to_hash(),
                image,
                overrides: &request.overrides,
                arguments: &request.arguments,
            })
            .collect();
        let manifest = pod_manifest(&requests, &self.flags.pod_request(self.interactive)?)
            .context("error generating the pod manifest")?;
        let names = manifest.apps.iter().map(|app| app.name.clone());
        let apps = names.zip(found.iter().map(|(_, key, _)| key.clone())).collect();
        Ok(Plan { manifest, apps })
    }
}

/// Whether a pod gets overlays: unless the user does not want them, or they do not work here.
pub fn overlay(unwanted: bool, data_dir: &Path) -> bool {
    if unwanted {
        return false;
    }
    let reason = overlay::unsupported(data_dir);
    if let Some(reason) = &reason {
        tracing::info!(target: "stage0", "disabling overlay support: {reason}; images are copied for this pod");
    }
    reason.is_none()
}

/// The pod that a manifest of the user describes. Its images must be in the store.
fn given(store: &Store, path: &Path) -> anyhow::Result<Plan> {
    let json = std::fs::read(path)
        .with_context(|| format!("error reading the pod manifest \"{}\"", path.display()))?;
    let manifest = PodManifest::from_slice(&json)
        .with_context(|| format!("invalid pod manifest \"{}\"", path.display()))?;
    anyhow::ensure!(!manifest.apps.is_empty(), "the pod manifest \"{}\" has no apps", path.display());
    let mut images: BTreeMap<AcName, ImageManifest> = BTreeMap::new();
    let mut apps = Vec::new();
    for app in &manifest.apps {
        let key = store.find_key(&app.image.id).with_context(|| {
            format!("image {} of app \"{}\" is not in the store, fetch it first", app.image.id, app.name)
        })?;
        images.insert(app.name.clone(), store.manifest(&key)?);
        apps.push((app.name.clone(), key));
    }
    Ok(Plan { manifest: complete_given_manifest(manifest, &images)?, apps })
}
