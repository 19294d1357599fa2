//! What the host's description of an app comes to.

use std::path::{Path, PathBuf};

use agent::protocol::{AppSpec, HealthCheck, PodSpec, SocketSpec, Stdio};
use appc::{Environment, EventHandlerName, Isolator, Isolators, RuntimeApp};

use super::capability::{Capabilities, CapabilityError};
use super::cgroup::{self, Setting};
use super::seccomp::{Filter, SeccompError};
use crate::layout::{MEMORY, POD, VOLUMES};
use crate::root::{RootPlan, Volume};

/// Why an app cannot be planned.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The manifest has no such app, or the app no section.
    #[error("The pod manifest does not say how to run app \"{0}\"")]
    NoApp(String),
    /// Nothing to execute.
    #[error("App \"{0}\" has an empty exec list")]
    NoExec(String),
    /// A root file system or volume is not in its share.
    #[error("\"{0}\" is not a path below the share")]
    Share(String),
    /// Its capabilities.
    #[error("Cannot tell the capabilities of app \"{app}\"")]
    Capabilities {
        /// The app.
        app: String,
        /// Why.
        #[source]
        source: CapabilityError,
    },
    /// Its system calls.
    #[error("Cannot tell the system calls of app \"{app}\"")]
    Seccomp {
        /// The app.
        app: String,
        /// Why.
        #[source]
        source: SeccompError,
    },
}

/// An app as it will be run.
#[derive(Debug, Clone, PartialEq)]
pub struct AppPlan {
    /// Its name.
    pub name: String,
    /// Its root file system, the agent's path.
    pub rootfs: PathBuf,
    /// Whether the root file system cannot be written.
    pub read_only: bool,
    /// What is mounted in it.
    pub root: RootPlan,
    /// The limits of its cgroup.
    pub limits: Vec<Setting>,
    /// What its standard streams are.
    pub stdio: Stdio,
    /// Whether it says when it is ready.
    pub notify: bool,
    /// The signal that asks it to end; SIGTERM if none.
    pub stop_signal: Option<i32>,
    /// How to find out whether it is well.
    pub health: Option<HealthCheck>,
    /// The sockets it starts with.
    pub sockets: Vec<SocketSpec>,
    /// Its main process.
    pub process: ProcessPlan,
    /// The program that runs before it.
    pub pre_start: Option<Vec<String>>,
    /// The program that runs after it.
    pub post_stop: Option<Vec<String>>,
}

/// A process of an app.
#[derive(Debug, Clone, PartialEq)]
pub struct ProcessPlan {
    /// The app's name.
    pub app: String,
    /// The program and its arguments, at least one.
    pub exec: Vec<String>,
    /// The user: name, number, or path.
    pub user: String,
    /// The group: name, number, or path.
    pub group: String,
    /// Further groups.
    pub supplementary: Vec<u32>,
    /// The manifest's variables.
    pub environment: Environment,
    /// Whether it is told where to say that it is ready.
    pub notify: bool,
    /// The names of the sockets it starts with.
    pub sockets: Vec<String>,
    /// Where it starts.
    pub working_directory: String,
    /// Whether that is made if it is missing.
    pub make_directory: bool,
    /// What it may do.
    pub privileges: Privileges,
}

/// What a process may do beyond its user's rights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Privileges {
    /// The most it can ever have.
    pub bounding: Capabilities,
    /// Whether executing programs can never add rights.
    pub no_new_privileges: bool,
    /// How readily the kernel kills it when memory runs out.
    pub oom_score_adj: Option<i32>,
    /// Which system calls it may make; none if all of them.
    pub seccomp: Option<Filter>,
}

impl AppPlan {
    /// Plans one of the apps the pod starts with.
    pub fn new(spec: &AppSpec, pod: &PodSpec) -> Result<Self, PlanError> {
        let runtime = pod.manifest.app(&spec.name).ok_or_else(|| PlanError::NoApp(spec.name.clone()))?;
        Self::of(spec, runtime, pod)
    }

    /// Plans an app of the pod.
    pub fn of(spec: &AppSpec, runtime: &RuntimeApp, pod: &PodSpec) -> Result<Self, PlanError> {
        let app = runtime.app.as_ref().ok_or_else(|| PlanError::NoApp(spec.name.clone()))?;
        if app.exec.is_empty() {
            return Err(PlanError::NoExec(spec.name.clone()));
        }
        let privileges = privileges(spec, pod, &app.isolators)?;
        let handler = |name: EventHandlerName| {
            let handler = app.event_handlers.iter().find(|handler| handler.name == name);
            handler.map(|handler| handler.exec.clone()).filter(|exec| !exec.is_empty())
        };
        Ok(Self {
            name: spec.name.clone(),
            rootfs: below(POD, &spec.rootfs)?,
            read_only: runtime.read_only_root_fs,
            root: root(spec, pod, &privileges)?,
            limits: cgroup::settings(&app.isolators),
            stdio: spec.stdio,
            notify: spec.notify,
            stop_signal: spec.stop_signal,
            health: spec.health.clone().filter(|check| !check.exec.is_empty()),
            sockets: spec.sockets.clone(),
            process: ProcessPlan {
                notify: spec.notify,
                make_directory: spec.make_directory,
                ..process(runtime, app, privileges)
            },
            pre_start: handler(EventHandlerName::PreStart),
            post_stop: handler(EventHandlerName::PostStop),
        })
    }
}

fn process(runtime: &RuntimeApp, app: &appc::App, privileges: Privileges) -> ProcessPlan {
    let working_directory =
        if app.working_directory.is_empty() { "/" } else { app.working_directory.as_str() };
    ProcessPlan {
        app: runtime.name.as_str().to_owned(),
        exec: app.exec.clone(),
        user: app.user.clone(),
        group: app.group.clone(),
        supplementary: app.supplementary_gids.clone(),
        environment: app.environment.clone(),
        notify: false,
        sockets: Vec::new(),
        working_directory: working_directory.to_owned(),
        make_directory: false,
        privileges,
    }
}

fn root(spec: &AppSpec, pod: &PodSpec, privileges: &Privileges) -> Result<RootPlan, PlanError> {
    let volumes = spec.mounts.iter().map(|mount| {
        let source = below(if mount.memory.is_some() { MEMORY } else { VOLUMES }, &mount.source)?;
        Ok(Volume { source, path: mount.path.clone(), read_only: mount.read_only, memory: mount.memory })
    });
    Ok(RootPlan {
        protect: !pod.disabled.paths,
        administrator: privileges.bounding.has("SYS_ADMIN"),
        resolv_conf: pod.dns.resolv_conf.is_some(),
        hosts: pod.dns.hosts.is_some(),
        terminal: None,
        notify: None,
        log: None,
        volumes: volumes.collect::<Result<_, PlanError>>()?,
    })
}

/// The agent's path of something in a share.
fn below(share: &str, relative: &str) -> Result<PathBuf, PlanError> {
    let path = Path::new(relative);
    let plain = path.components().all(|part| matches!(part, std::path::Component::Normal(_)));
    if relative.is_empty() || !plain {
        return Err(PlanError::Share(relative.to_owned()));
    }
    Ok(Path::new(share).join(path))
}

fn privileges(spec: &AppSpec, pod: &PodSpec, isolators: &Isolators) -> Result<Privileges, PlanError> {
    let bounding = Capabilities::of(isolators)
        .map_err(|source| PlanError::Capabilities { app: spec.name.clone(), source })?;
    let mut privileges = Privileges {
        bounding: if pod.disabled.capabilities { Capabilities::ALL } else { bounding },
        no_new_privileges: false,
        oom_score_adj: None,
        seccomp: None,
    };
    if !pod.disabled.seccomp {
        privileges.seccomp = Filter::of(isolators, privileges.bounding)
            .map_err(|source| PlanError::Seccomp { app: spec.name.clone(), source })?;
    }
    for isolator in isolators.iter() {
        match isolator {
            Isolator::NoNewPrivileges(wanted) => privileges.no_new_privileges |= wanted,
            Isolator::OomScoreAdj(score) => privileges.oom_score_adj = Some(*score),
            _ => {}
        }
    }
    Ok(privileges)
}

#[cfg(test)]
mod tests;
