//! Flags of commands that prepare pods: `run` and `prepare`.

use std::path::PathBuf;

use appc::{Mount, Volume};

use super::{Request, Stage1Flags};
use crate::assemble::{EnvFileError, EnvLayers, KeyValue, PodRequest, PortFlag, read_env_file};
use crate::fetch::PullPolicy;

/// Flags of commands that prepare pods.
#[derive(Debug, Clone, clap::Args)]
pub struct PrepareFlags {
    /// Volume: NAME,kind=host,source=PATH[,readOnly=BOOL][,recursive=BOOL] or
    /// NAME,kind=empty[,readOnly=BOOL][,mode=MODE][,uid=UID][,gid=GID][,medium=memory[,size=QUANTITY]]
    #[arg(long, value_name = "VOLUME")]
    pub volume: Vec<Volume>,

    /// Mount a volume into every app: volume=NAME,target=PATH (before the first image)
    #[arg(long, value_name = "MOUNT")]
    pub mount: Vec<Mount>,

    /// Forward a port of the host: NAME:[HOSTIP:]HOSTPORT
    #[arg(long, value_name = "PORT")]
    pub port: Vec<PortFlag>,

    /// Set a variable in the environment of every app: NAME=VALUE
    #[arg(long, value_name = "VARIABLE")]
    pub set_env: Vec<KeyValue>,

    /// Set the variables of a file, one NAME=VALUE a line, in the environment of every app
    #[arg(long, value_name = "FILE")]
    pub set_env_file: Vec<PathBuf>,

    /// Pass the environment of rkt to every app, for variables nobody sets
    #[arg(long)]
    pub inherit_env: bool,

    /// Copy images instead of mounting overlays above them
    #[arg(long)]
    pub no_overlay: bool,

    /// Refused: apps in a micro-VM have user ids of their own
    #[arg(long, hide = true)]
    pub private_users: bool,

    /// Run the pod of this manifest; its images must have been fetched
    #[arg(long, value_name = "FILE")]
    pub pod_manifest: Option<PathBuf>,

    /// When to fetch images: new (if not there), never, update (if changed)
    #[arg(long, value_name = "POLICY", default_value = "new")]
    pub pull_policy: PullPolicy,

    /// Deprecated: --pull-policy=never
    #[arg(long, hide = true)]
    pub store_only: bool,

    /// Deprecated: --pull-policy=update
    #[arg(long, hide = true)]
    pub no_store: bool,

    #[command(flatten)]
    pub(crate) stage1: Stage1Flags,
}

/// Why the flags are refused.
#[derive(Debug, thiserror::Error)]
pub enum PrepareFlagsError {
    /// Flags whose effect the manifest of `--pod-manifest` decides.
    #[error("conflicting flags set with --pod-manifest (see --help)")]
    PodManifest,
    /// Nothing to run.
    #[error("must provide at least one image or specify the pod manifest")]
    NoImage,
    /// Two deprecated flags that contradict each other.
    #[error("both --store-only and --no-store specified")]
    StoreFlags,
    /// User namespaces.
    #[error("cannot use both overlay and user namespace: not implemented yet. (Try --no-overlay)")]
    PrivateUsersOverlay,
    /// User namespaces.
    #[error(
        "flag --private-users cannot be used with a kvm stage1: its apps have user ids of their own anyway"
    )]
    PrivateUsers,
    /// A variable set twice, or a bad file.
    #[error(transparent)]
    Environment(#[from] EnvFileError),
}

impl PrepareFlags {
    /// Flags that exclude each other.
    pub fn check(&self, images: &[Request]) -> Result<(), PrepareFlagsError> {
        if self.store_only && self.no_store {
            return Err(PrepareFlagsError::StoreFlags);
        }
        match (self.private_users, self.no_overlay) {
            (true, false) => return Err(PrepareFlagsError::PrivateUsersOverlay),
            (true, true) => return Err(PrepareFlagsError::PrivateUsers),
            (false, _) => {}
        }
        match &self.pod_manifest {
            None if images.is_empty() => Err(PrepareFlagsError::NoImage),
            Some(_) if self.says_more_than_manifest(images) => Err(PrepareFlagsError::PodManifest),
            _ => Ok(()),
        }
    }

    fn says_more_than_manifest(&self, images: &[Request]) -> bool {
        !images.is_empty()
            || !self.volume.is_empty()
            || !self.mount.is_empty()
            || !self.port.is_empty()
            || !self.set_env.is_empty()
            || !self.set_env_file.is_empty()
            || self.inherit_env
            || self.policy() != PullPolicy::New
    }

    /// When to fetch images.
    pub fn policy(&self) -> PullPolicy {
        match (self.store_only, self.no_store) {
            (true, _) => PullPolicy::Never,
            (_, true) => PullPolicy::Update,
            _ => self.pull_policy,
        }
    }

    /// What the flags ask for the pod as a whole.
    pub fn pod_request(&self, interactive: bool) -> Result<PodRequest, PrepareFlagsError> {
        let mut environment = EnvLayers { set: self.set_env.clone(), ..EnvLayers::default() };
        for file in &self.set_env_file {
            environment.from_files.extend(read_env_file(file)?);
        }
        if self.inherit_env {
            environment.inherited = EnvLayers::inherit();
        }
        environment.check()?;
        Ok(PodRequest {
            volumes: self.volume.clone(),
            mounts: self.mount.clone(),
            ports: self.port.clone(),
            environment,
            interactive,
        })
    }
}
