//! What users change about an image's app: the flags after an image (reference §2.3).

use std::path::PathBuf;

use appc::{AcName, Mount, Quantity};

use super::{KeyValue, SeccompFlag, tmpfs};

/// The flags after an image.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Options after an image")]
pub struct Overrides {
    /// Program to run instead of the image's; arguments follow after `--`
    #[arg(long, value_name = "PROGRAM")]
    pub exec: Option<String>,

    /// Name of the app [default: last element of the image's name]
    #[arg(long, value_name = "NAME")]
    pub name: Option<AcName>,

    /// Directory the app starts in
    #[arg(long, value_name = "DIR")]
    pub working_dir: Option<String>,

    /// Mount the app's root file system read-only
    #[arg(long)]
    pub readonly_rootfs: bool,

    /// Mount a volume: volume=NAME,target=PATH; before the first image: into every app
    #[arg(long, value_name = "MOUNT")]
    pub mount: Vec<Mount>,

    /// File system in memory for this app: PATH[:size=QUANTITY][,mode=MODE][,uid=UID][,gid=GID][,ro]
    #[arg(long, value_name = "PATH", value_parser = tmpfs::tmpfs)]
    pub tmpfs: Vec<Mount>,

    /// A /dev/shm of its own for this app, of this size, instead of the pod's
    #[arg(long, value_name = "QUANTITY", value_parser = tmpfs::shm)]
    pub shm_size: Option<Mount>,

    /// User to run as: name, number, or the path of a file whose owner is meant
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,

    /// Group to run as: name, number, or the path of a file whose group is meant
    #[arg(long, value_name = "GROUP")]
    pub group: Option<String>,

    /// Supplementary group ids, separated by commas
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub supplementary_gids: Option<Vec<u32>>,

    /// Set a variable in the app's environment: NAME=VALUE
    #[arg(long, value_name = "VARIABLE")]
    pub environment: Vec<KeyValue>,

    /// Annotate the app: NAME=VALUE
    #[arg(long, value_name = "ANNOTATION")]
    pub annotation: Vec<KeyValue>,

    /// Annotate the app for users: NAME=VALUE
    #[arg(long, value_name = "ANNOTATION")]
    pub user_annotation: Vec<KeyValue>,

    /// Label the app for users: NAME=VALUE
    #[arg(long, value_name = "LABEL")]
    pub user_label: Vec<KeyValue>,

    /// The app's standard input, for those who attach: null, stream, or tty (a terminal for all three streams)
    #[arg(long, value_name = "KIND", value_parser = ["null", "stream", "tty"])]
    pub stdin: Option<String>,

    /// Memory limit (512M)
    #[arg(long, value_name = "QUANTITY")]
    pub memory: Option<Quantity>,

    /// CPU limit (500m)
    #[arg(long, value_name = "QUANTITY")]
    pub cpu: Option<Quantity>,

    /// Limit of processes and threads
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    pub pids: Option<u32>,

    /// Limit of bytes read from and written to files, in a second (2M)
    #[arg(long, value_name = "QUANTITY")]
    pub io_bandwidth: Option<Quantity>,

    /// Limit of operations on files, in a second
    #[arg(long, value_name = "NUMBER")]
    pub iops: Option<Quantity>,

    /// CPU weight, 2 to 262144
    #[arg(long, value_name = "WEIGHT", value_parser = clap::value_parser!(u64).range(2..=262_144))]
    pub cpu_shares: Option<u64>,

    /// Capabilities to keep, separated by commas
    #[arg(long, alias = "cap-retain", value_name = "LIST", value_delimiter = ',')]
    pub caps_retain: Option<Vec<String>>,

    /// Capabilities to remove, separated by commas
    #[arg(long, alias = "cap-remove", value_name = "LIST", value_delimiter = ',')]
    pub caps_remove: Option<Vec<String>>,

    /// System call filter: mode=retain|remove[,errno=NAME],CALL,…
    #[arg(long, value_name = "FILTER")]
    pub seccomp: Option<SeccompFlag>,

    /// How willingly the kernel kills the app when memory runs out, -1000 to 1000
    #[arg(long, value_name = "SCORE", allow_negative_numbers = true,
          value_parser = clap::value_parser!(i32).range(-1000..=1000))]
    pub oom_score_adj: Option<i32>,

    /// Detached signature of the image
    #[arg(long, value_name = "FILE")]
    pub signature: Option<PathBuf>,
}
