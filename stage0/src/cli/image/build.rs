//! `rkt image build`: what actool and acbuild did.

use std::path::PathBuf;

use appc::{AcIdentifier, ImageName, MountPoint, Port};

use crate::assemble::KeyValue;
use crate::build::{self, Copy, Output, Recipe};
use crate::cli::{Verb, parse};
use crate::fetch::{Fetcher, PullPolicy};
use crate::store::Store;

/// `rkt image build`.
pub const VERB: Verb = Verb {
    name: "build",
    about: "Make an image of a directory or of another image, files and a manifest",
    privileged: true,
    command: || parse::command::<Build>("image build", VERB.about),
    run,
};

/// Flags of `rkt image build`.
#[derive(Debug, clap::Args)]
pub struct Build {
    /// Start from this image, with everything beneath it
    #[arg(long, value_name = "IMAGE")]
    base: Option<String>,

    /// Name of the image [default: the base's]
    #[arg(long, value_name = "NAME")]
    name: Option<AcIdentifier>,

    /// Label, such as version=1.0
    #[arg(long, value_name = "NAME=VALUE")]
    label: Vec<KeyValue>,

    /// Annotation
    #[arg(long, value_name = "NAME=VALUE")]
    annotation: Vec<KeyValue>,

    /// The program; repeat it for each argument
    #[arg(long, value_name = "WORD", allow_hyphen_values = true)]
    exec: Vec<String>,

    /// Environment variable
    #[arg(long, value_name = "NAME=VALUE")]
    environment: Vec<KeyValue>,

    /// User that runs the program
    #[arg(long, value_name = "USER")]
    user: Option<String>,

    /// Group that runs the program
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,

    /// Directory the program starts in
    #[arg(long, value_name = "PATH")]
    working_dir: Option<String>,

    /// Port the program listens on
    #[arg(long, value_name = "NAME:PROTOCOL:NUMBER", value_parser = build::parse_port)]
    port: Vec<Port>,

    /// Where a volume belongs
    #[arg(long, value_name = "NAME:PATH[:ro]", value_parser = build::parse_mount_point)]
    mount: Vec<MountPoint>,

    /// Image beneath this one; it is not copied into it
    #[arg(long, value_name = "NAME[:VERSION]")]
    dependency: Vec<ImageName>,

    /// File, or directory whose content is copied into the image
    #[arg(long, value_name = "SOURCE:TARGET")]
    copy: Vec<Copy>,

    /// Replace the output if it exists
    #[arg(long)]
    overwrite: bool,

    /// Write an OCI layout to a directory instead of an ACI to a file
    #[arg(long)]
    oci: bool,

    /// Where the image goes
    #[arg(value_name = "OUTPUT")]
    output: PathBuf,
}

fn run(words: &[String]) -> anyhow::Result<u8> {
    let parsed = parse::parse::<Build>((VERB.command)(), words)?;
    let (flags, global) = (parsed.own, parsed.global);
    let store = Store::open(&global.data_dir()?)?;
    let base = match &flags.base {
        Some(image) => {
            Some(Fetcher::new(&store, global.fetch_settings(PullPolicy::New)?).fetch(image, None)?)
        }
        None => None,
    };
    if flags.oci {
        super::output::clear_directory(&flags.output, flags.overwrite)?;
    } else if flags.output.exists() && !flags.overwrite {
        anyhow::bail!("output ACI file exists (try --overwrite)");
    }
    let _lock = store.prepare_lock()?;
    build::build(&store, &recipe(flags), base.as_ref())?;
    Ok(0)
}

fn recipe(flags: Build) -> Recipe {
    let pairs = |list: Vec<KeyValue>| list.into_iter().map(|pair| (pair.key, pair.value)).collect();
    Recipe {
        output: if flags.oci { Output::OciLayout(flags.output) } else { Output::Aci(flags.output) },
        name: flags.name,
        labels: pairs(flags.label),
        annotations: pairs(flags.annotation),
        exec: flags.exec,
        environment: pairs(flags.environment),
        user: flags.user,
        group: flags.group,
        working_directory: flags.working_dir,
        ports: flags.port,
        mount_points: flags.mount,
        dependencies: flags.dependency,
        copies: flags.copy,
    }
}
