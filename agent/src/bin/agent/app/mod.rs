//! An app of the pod: how it runs, as data; its start in a child process; its life as the agent sees it. And commands
//! that are run in it.

mod capability;
mod cgroup;
mod command;
mod environment;
mod error;
mod execute;
mod health;
mod launch;
mod leftovers;
mod life;
mod memory;
mod namespaces;
mod notify;
mod plan;
mod probe;
mod process;
mod program;
mod seccomp;
mod sockets;
mod syslog;
mod users;
mod watch;

pub use cgroup::delegate;
pub use command::{Command, CommandError};
pub use leftovers::clear;
pub use life::{App, Event, Mount, exit_status};
pub use namespaces::Namespaces;
pub use plan::{AppPlan, PlanError};
