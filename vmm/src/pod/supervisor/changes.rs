//! Apps that come and go while the pod runs: what clients ask for, and what the guest makes of it.

use agent::protocol::{AppSpec, HostMessage};
use appc::RuntimeApp;

use super::{Guest, Supervisor, clients::no_app};
use crate::pod::{
    clients::{
        Business,
        wire::{Change, Reply, Request},
    },
    error::PodError,
    io_limits,
    session::Phase,
    stopping::GRACE,
};

/// What is said when the guest does not read what it is told.
pub(super) const DEAF: &str = "Agent of the guest does not listen";

impl<G: Guest> Supervisor<'_, G> {
    /// Begins a change, now or when the pod is ready for it.
    pub(super) fn begin_change(&mut self, number: u32, change: Change) -> Result<(), PodError> {
        let business = match self.session.phase() {
            _ if !self.pod.arguments.mutable => self.refused(number, "Pod is immutable"),
            _ if self.stop.is_some() => self.refused(number, "Pod is being stopped"),
            Phase::Finished => self.refused(number, "Pod has ended"),
            Phase::Silent | Phase::Starting => Business::Waiting(Request::Change(change)),
            Phase::Running => match change {
                Change::Add { runtime, spec } => self.add_app(number, *runtime, *spec),
                Change::Start { app } => self.start_app(number, app)?,
                Change::Stop { app } => self.stop_app(number, app)?,
                Change::Remove { app } => self.remove_app(number, app)?,
            },
        };
        if let Some(known) = self.listeners.clients.business(number) {
            *known = business;
        }
        Ok(())
    }

    fn add_app(&mut self, number: u32, runtime: RuntimeApp, spec: AppSpec) -> Business {
        if self.apps.iter().any(|known| known.name == spec.name) {
            return self.refused(number, &format!("Pod has an app \"{}\" already", spec.name));
        }
        self.pod.manifest.apps.push(runtime);
        self.apps.push(spec);
        self.listeners.clients.tell(number, &Reply::Done);
        Business::Done
    }

    fn start_app(&mut self, number: u32, app: String) -> Result<Business, PodError> {
        let runtime = self.pod.manifest.app(&app).cloned();
        let spec = self.apps.iter().find(|known| known.name == app).cloned();
        let Some((runtime, spec)) = runtime.zip(spec) else { return Ok(self.unknown(number, &app)) };
        if self.session.is_unfinished(&app) {
            return Ok(self.refused(number, &format!("App \"{app}\" is running already")));
        }
        if !self.streams.expect(&spec) {
            return Ok(Business::Waiting(Request::Change(Change::Start { app })));
        }
        io_limits::limit_added(&self.pod.io_limits, &runtime, &spec);
        let start = HostMessage::StartApp { app: Box::new(runtime), spec: Box::new(spec) };
        if !self.tell_guest(&start)? {
            return Ok(self.refused(number, DEAF));
        }
        self.session.expect_start(&app);
        self.told(self.pod.directory.clear_status(&app, false));
        Ok(Business::Starting(app))
    }

    fn stop_app(&mut self, number: u32, app: String) -> Result<Business, PodError> {
        if !self.apps.iter().any(|known| known.name == app) {
            return Ok(self.unknown(number, &app));
        }
        if !self.session.is_unfinished(&app) {
            self.listeners.clients.tell(number, &Reply::NotRunning);
            return Ok(Business::Done);
        }
        self.pod.io_limits.lift(&app);
        let stop = HostMessage::StopApp { app: app.clone(), grace_ms: GRACE.as_millis() as u64 };
        Ok(match self.tell_guest(&stop)? {
            true => Business::Stopping(app),
            false => self.refused(number, DEAF),
        })
    }

    fn remove_app(&mut self, number: u32, app: String) -> Result<Business, PodError> {
        if !self.apps.iter().any(|known| known.name == app) {
            return Ok(self.unknown(number, &app));
        }
        if self.session.is_unfinished(&app) {
            return Ok(self.refused(number, &format!("App \"{app}\" is running")));
        }
        if !self.tell_guest(&HostMessage::ForgetApp { app: app.clone() })? {
            return Ok(self.refused(number, DEAF));
        }
        self.session.expect_leave(&app);
        self.apps.retain(|known| known.name != app);
        self.pod.manifest.apps.retain(|known| known.name != *app);
        self.streams.forget(&app);
        Ok(Business::Removing(app))
    }

    pub(super) fn app_started(&mut self, app: String) {
        if self.pod.arguments.mutable {
            self.told(self.pod.directory.mark_started(&app));
        }
        self.listeners.clients.settle(&Business::Starting(app), &Reply::Done);
    }

    /// `never_ran` says why its program was not executed, if it was not.
    pub(super) fn app_ended(&mut self, app: String, never_ran: Option<String>) {
        if let Some(line) = never_ran {
            let line = if line.is_empty() { format!("App \"{app}\" did not start") } else { line };
            self.listeners.clients.settle(&Business::Starting(app.clone()), &Reply::Refused { line });
        }
        self.listeners.clients.settle(&Business::Stopping(app), &Reply::Done);
    }

    pub(super) fn app_forgotten(&mut self, app: String) {
        self.listeners.clients.settle(&Business::Removing(app), &Reply::Done);
    }

    fn unknown(&self, number: u32, app: &str) -> Business {
        self.listeners.clients.tell(number, &no_app(app));
        Business::Done
    }

    fn refused(&self, number: u32, line: &str) -> Business {
        self.refuse(number, line);
        Business::Done
    }
}
