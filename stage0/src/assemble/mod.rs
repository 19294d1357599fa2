//! Assembling the manifest of a pod from images and the flags that go with them (reference §2.7).

mod app;
mod environment;
mod isolators;
mod key_value;
mod overrides;
mod pod;
mod ports;
mod seccomp;

pub use app::{AppError, AppRequest, runtime_app};
pub use environment::{EnvFileError, EnvLayers, read_env_file};
pub use key_value::{KeyValue, NotKeyValue};
pub use overrides::Overrides;
pub use pod::{AssembleError, PodRequest, complete_given_manifest, pod_manifest};
pub use ports::{PortError, PortFlag};
pub use seccomp::{SeccompFlag, SeccompFlagError};
