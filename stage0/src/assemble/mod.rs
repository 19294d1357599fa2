//! Assembling the manifest of a pod from images and the flags that go with them (reference §2.7).

mod app;
mod environment;
mod isolators;
mod key_value;
mod mount;
mod overrides;
mod pod;
mod ports;
mod seccomp;
mod tmpfs;

pub use app::{AppError, AppRequest, runtime_app};
pub use environment::{EnvFileError, EnvLayers, read_env_file};
pub use key_value::{KeyValue, NotKeyValue};
pub use mount::{MountFlag, NotMount};
pub use overrides::Overrides;
pub use pod::{
    AssembleError, MUTABLE, PodRequest, SandboxRequest, complete_given_manifest, pod_manifest,
    sandbox_manifest, with_app,
};
pub use ports::{PodPortFlag, PortError, PortFlag};
pub use seccomp::{SeccompFlag, SeccompFlagError};
