//! `rkt app sandbox`.

use std::path::PathBuf;

use anyhow::Context as _;
use appc::Quantity;

use crate::assemble::{KeyValue, PodPortFlag, SandboxRequest, sandbox_manifest};
use crate::cli::pod_flags::{RunningFlags, Stage1Flags};
use crate::cli::prepare::overlay;
use crate::cli::run::{check_ports, save_uuid};
use crate::cli::{Verb, parse};
use crate::fetch::{Fetcher, PullPolicy};
use crate::launch::{self, Preparation};
use crate::pod::Pods;
use crate::stage1::{self, Stage1};
use crate::store::Store;

/// `rkt app sandbox`.
pub const VERB: Verb = Verb {
    name: "sandbox",
    about: "Run a pod without apps, to which apps can be added",
    privileged: true,
    command: || {
        parse::command::<Sandbox>("app sandbox", VERB.about)
            .mut_arg("interactive", |flag| flag.hide(true))
            .after_help(EXAMPLES)
    },
    run,
};

const EXAMPLES: &str = "\
The pod runs, as this process, until it is stopped (rkt stop, or SIGTERM to this process); what its apps write comes out here.
The machine has the memory and CPUs it is given here, whatever its apps ask for.

Examples:
  rkt app sandbox --uuid-file-save=/run/web.uuid --memory=1G --port=http:tcp:80:0.0.0.0:8080 &
  rkt status --wait-ready $(cat /run/web.uuid)
  rkt app add $(cat /run/web.uuid) example.com/nginx --name=web
  rkt app start --app=web $(cat /run/web.uuid)";

/// Flags of `rkt app sandbox`.
#[derive(Debug, clap::Args)]
pub struct Sandbox {
    #[command(flatten)]
    running: RunningFlags,

    #[command(flatten)]
    stage1: Stage1Flags,

    /// Memory of the pod's apps together, the rest of the machine not counted [default: 384Mi]
    #[arg(long, value_name = "QUANTITY")]
    memory: Option<Quantity>,

    /// CPUs of the pod [default: all]
    #[arg(long, value_name = "QUANTITY")]
    cpu: Option<Quantity>,

    /// Forward a port of the host: NAME:PROTOCOL:PODPORT:HOSTIP:HOSTPORT
    #[arg(long, value_name = "PORT")]
    port: Vec<PodPortFlag>,

    /// Annotate the pod: NAME=VALUE
    #[arg(long, value_name = "ANNOTATION")]
    annotation: Vec<KeyValue>,

    /// Annotate the pod for users: NAME=VALUE
    #[arg(long, value_name = "ANNOTATION")]
    user_annotation: Vec<KeyValue>,

    /// Label the pod for users: NAME=VALUE
    #[arg(long, value_name = "LABEL")]
    user_label: Vec<KeyValue>,

    /// Copy images instead of mounting overlays above them
    #[arg(long)]
    no_overlay: bool,

    /// Write the UUID to this file as soon as the pod exists
    #[arg(long, value_name = "FILE")]
    uuid_file_save: Option<PathBuf>,
}

fn run(words: &[String]) -> anyhow::Result<u8> {
    let parsed = parse::parse::<Sandbox>((VERB.command)(), words)?;
    let (flags, global) = (parsed.own, parsed.global);
    anyhow::ensure!(!flags.running.interactive, "--interactive does not work with apps that come later");
    check_ports(!flags.port.is_empty(), &flags.running.net_list()?)?;
    let running = flags.running.running(&global)?.mutable();
    let data_dir = global.data_dir()?;
    let store = Store::open(&data_dir)?;
    let fetcher = Fetcher::new(&store, global.fetch_settings(PullPolicy::New)?);
    let lock = store.prepare_lock()?;
    let stage1 =
        stage1::find(&store, &fetcher, &flags.stage1.choice()?).context("error finding stage1 image")?;
    Stage1::of_image(store.manifest(&stage1)?).check_mutable()?;
    let manifest = sandbox_manifest(SandboxRequest {
        ports: flags.port,
        memory: flags.memory,
        cpu: flags.cpu,
        annotations: flags.annotation,
        user_annotations: flags.user_annotation,
        user_labels: flags.user_label,
    })
    .context("error generating the pod manifest")?;
    let pod = Pods::new(&data_dir).create().context("error creating new pod")?;
    save_uuid(&pod, flags.uuid_file_save.as_ref())?;
    let overlay = overlay(flags.no_overlay, &data_dir);
    let preparation = Preparation { manifest: &manifest, apps: &[], stage1: &stage1, overlay };
    launch::prepare(&pod, &store, &preparation).context("error setting up the pod")?;
    drop((lock, fetcher));
    // Returns only if the pod cannot be started.
    Err(running.with_pod(pod.uuid(), |start| launch::start(pod, store, start))?.into())
}
