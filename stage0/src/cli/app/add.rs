//! `rkt app add`.

use anyhow::Context as _;
use appc::AcName;

use super::family;
use crate::assemble::{AppRequest, EnvLayers, MountFlag, runtime_app, with_app};
use crate::cli::pod_flags::{Request, image_help, parse_words};
use crate::cli::running::{call_for_app, changeable, expect_success};
use crate::cli::{GlobalFlags, Verb, image, output, parse, uuid_arg};
use crate::launch::{clear_app, place_app};
use crate::pod::{ChangingPod, Pods};
use crate::stage1::Entrypoint;
use crate::store::Store;

/// `rkt app add`.
pub const VERB: Verb = Verb {
    name: "add",
    about: "Add an app to a running pod",
    privileged: true,
    command: || {
        parse::command::<Add>("app add", VERB.about)
            .override_usage("rkt app add [OPTIONS] UUID IMAGE [IMAGE OPTIONS] [-- ARGUMENTS]")
            .after_help(format!("{}\n{EXAMPLES}", image_help()))
    },
    run,
};

const EXAMPLES: &str = "\
The pod must be one of \"rkt app sandbox\", and the image in the store (rkt fetch). The app's name is printed; it runs when it
is started (rkt app start).

Examples:
  rkt app add 6b2c sha512-1f2e3d --name=web --memory=256M
  rkt app add --mnt-volume=name=data,kind=host,source=/srv,target=/data 6b2c example.com/db -- --verbose";

/// Flags of `rkt app add` beside those of the image.
#[derive(Debug, clap::Args)]
pub struct Add {
    /// A volume of the app: name=NAME,kind=host,source=PATH,target=PATH[,readOnly=BOOL][,recursive=BOOL] or
    /// name=NAME,kind=empty,target=PATH[,mode=MODE][,uid=UID][,gid=GID][,medium=memory[,size=QUANTITY]]
    #[arg(long, value_name = "VOLUME")]
    mnt_volume: Vec<MountFlag>,
}

fn run(words: &[String]) -> anyhow::Result<u8> {
    let (parsed, words) = parse_words::<Add>((VERB.command)(), words)?;
    family(&VERB, add(&parsed.global, parsed.own, &words))
}

fn add(global: &GlobalFlags, flags: Add, words: &[Request]) -> anyhow::Result<u8> {
    let [uuid, image] = words else { anyhow::bail!("must provide the pod UUID and an image") };
    let data_dir = global.data_dir()?;
    let (pod, pid) = changeable(uuid_arg::one(&Pods::new(&data_dir), Some(&uuid.image), None)?)?;
    let store = Store::open(&data_dir)?;
    let lock = store.prepare_lock()?;
    let key = image::find(&store, &image.image)
        .with_context(|| format!("image \"{}\" is not in the store, fetch it first", image.image))?;
    let manifest = store.manifest(&key)?;
    let request = AppRequest {
        id: key.to_hash(),
        image: &manifest,
        overrides: &image.overrides,
        arguments: &image.arguments,
    };
    let mut app = runtime_app(&request, &EnvLayers::default(), false)?;
    app.mounts.extend(flags.mnt_volume.into_iter().map(|MountFlag(mount)| mount));
    let name = app.name.clone();
    let changed = with_app(pod.manifest()?, app)?;
    place_app(&pod, &store, &name, &key)?;
    drop(lock);
    // Before stage1 hears of the app: what is in the pod must be in the manifest, whenever this process dies.
    pod.change_manifest(&changed)?;
    let added = call_for_app(&pod, pid, global, Entrypoint::AppAdd, name.as_str())
        .and_then(|status| expect_success(status, Entrypoint::AppAdd));
    if let Err(error) = added {
        take_back(&pod, &name)?;
        return Err(error);
    }
    output::print_line(name);
    Ok(0)
}

fn take_back(pod: &ChangingPod, name: &AcName) -> anyhow::Result<()> {
    let mut manifest = pod.manifest()?;
    manifest.apps.retain(|app| app.name != *name);
    pod.change_manifest(&manifest)?;
    Ok(clear_app(pod, name)?)
}
