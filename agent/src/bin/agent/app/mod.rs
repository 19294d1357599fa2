//! An app of the pod: how it runs, as data; its start in a child process; its life as the agent sees it.

mod capability;
mod cgroup;
mod environment;
mod execute;
mod launch;
mod life;
mod notify;
mod plan;
mod process;
mod program;
mod seccomp;
mod syslog;
mod users;

pub use cgroup::delegate;
pub use life::{App, Event, StartError, exit_status};
pub use plan::{AppPlan, PlanError};
