//! Apps that come and go while the pod runs.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use agent::protocol::{AppSpec, GuestMessage};
use appc::RuntimeApp;
use nix::mount::{MntFlags, umount2};

use super::departures::Departure;
use super::{Pod, PodError};
use crate::app::{App, AppPlan, Mount, clear};
use crate::failure;
use crate::layout::VOLUMES;
use crate::machine;

/// Apps that have been asked to end, and when each is killed.
#[derive(Debug, Default)]
pub struct Stops(BTreeMap<String, Instant>);

impl Stops {
    /// Asks an app to end.
    pub fn stop(&mut self, name: &str, grace: Duration, apps: &[App], now: Instant) {
        let Some(app) = apps.iter().find(|app| app.name() == name && !app.is_done()) else { return };
        // One that cannot be reached is never.
        let at = now.checked_add(grace).unwrap_or(now);
        match self.0.get_mut(name) {
            Some(before) => *before = at.min(*before),
            None => {
                self.0.insert(name.to_owned(), at);
                app.terminate();
            }
        }
        self.tick(apps, now);
    }

    /// Kills those whose time is over, and forgets those that have ended.
    pub fn tick(&mut self, apps: &[App], now: Instant) {
        self.0.retain(|name, at| match apps.iter().find(|app| app.name() == name && !app.is_done()) {
            Some(app) if *at <= now => {
                app.kill();
                false
            }
            Some(_) => true,
            None => false,
        });
    }

    /// When [`Stops::tick`] has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        self.0.values().min().copied()
    }
}

impl Pod<'_> {
    /// Starts an app that the pod did not start with, or that has ended.
    pub(super) fn start_app(&mut self, app: &RuntimeApp, spec: &AppSpec) -> Result<(), PodError> {
        let runs = self.apps.iter().any(|running| running.name() == spec.name && !running.is_done());
        if runs || self.departures.is_forgetting(&spec.name) {
            // No host asks for that.
            return Ok(());
        }
        self.let_go(&spec.name, false);
        clear(&spec.name);
        for mount in spec.mounts.iter().filter(|mount| mount.memory.is_none()) {
            machine::touch_submount(&Path::new(VOLUMES).join(&mount.source));
        }
        match AppPlan::of(spec, app, self.spec) {
            Ok(plan) => self.start(plan),
            Err(error) => self.not_started(spec.name.clone(), &error),
        }
    }

    /// Begins to let go of an app, so that the host can take its files away. It is told when that is done.
    pub(super) fn forget_app(&mut self, app: &str) -> Result<(), PodError> {
        if !self.let_go(app, true) {
            self.control.queue(&GuestMessage::AppForgotten { app: app.to_owned() })?;
        }
        Ok(())
    }

    /// Lets go of apps that have ended, where nothing is under way any more in what they have mounted.
    pub(super) fn see_off(&mut self) -> Result<(), PodError> {
        for Departure { app, forgotten, quiet, namespaces } in self.departures.take_due(Instant::now()) {
            self.warn("wait for the files", &app, quiet.as_ref().err())?;
            drop(namespaces);
            if let Some(mounts) = forgotten {
                self.forget(app, mounts)?;
            }
        }
        Ok(())
    }

    fn forget(&mut self, app: String, mounts: Vec<Mount>) -> Result<(), PodError> {
        for mount in mounts {
            match mount {
                Mount::Memory(path) => machine::remove_memory(&path),
                // Only directories were mounted.
                Mount::Share(path) => drop(umount2(&path, MntFlags::MNT_DETACH)),
            }
        }
        // Before its cgroup goes, which names are accounted to: those of a dying one are out of reach for a while.
        let forgotten = machine::forget_names();
        self.warn("forget the files", &app, forgotten.as_ref().err())?;
        clear(&app);
        Ok(self.control.queue(&GuestMessage::AppForgotten { app })?)
    }

    /// Drops what is known of an app that has ended, but for the hold of its mounts. True if there was one.
    fn let_go(&mut self, app: &str, forgotten: bool) -> bool {
        let gone = |known: &App| known.name() == app && known.is_done();
        let Some(at) = self.apps.iter().position(gone) else { return false };
        let mut app = self.apps.remove(at);
        self.departures.add(&mut app, forgotten, Instant::now());
        true
    }

    fn warn(&mut self, action: &str, app: &str, error: Option<&io::Error>) -> Result<(), PodError> {
        if let Some(error) = error {
            let text = format!("Warning: cannot {action} of app {app}: {}", failure::reason(error));
            self.control.queue(&GuestMessage::Diagnostic { app: None, text })?;
        }
        Ok(())
    }
}
