//! The limits of apps' I/O: how much of it, and how often, in a second (`resource/block-bandwidth`, `resource/block-iops`).
//!
//! A pod has no block device whose cgroup could limit it. All its files are served by this process, so here a request
//! waits until its app may go on, while the workers serve the others.

mod account;
mod cost;
mod owners;
mod parked;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

pub(super) use account::Account;
pub use account::Rates;
pub(super) use cost::bytes as cost_in_bytes;
pub(super) use owners::Owners;
pub(super) use parked::{Parked, Wait};

/// The limits of a pod's apps. Clones are the same ones.
#[derive(Debug, Clone, Default)]
pub struct IoLimits(Arc<Table>);

#[derive(Debug, Default)]
struct Table {
    apps: Mutex<Vec<App>>,
    some: AtomicBool,
    lifts: AtomicU64,
}

#[derive(Debug)]
struct App {
    name: String,
    account: Arc<Account>,
    /// Tag of a share, and a name in its root.
    directories: Vec<(&'static str, String)>,
}

impl IoLimits {
    /// Limits an app from its start: `directories` are its own, each the tag of a share and a name in that share's root. To be
    /// called before the guest looks at them.
    pub fn limit(&self, app: &str, rates: Rates, directories: Vec<(&'static str, String)>) {
        let mut apps = self.apps();
        apps.retain(|known| known.name != app);
        if rates != Rates::default() {
            let account = Arc::new(Account::new(rates, Instant::now()));
            apps.push(App { name: app.to_owned(), account, directories });
            self.0.some.store(true, Ordering::SeqCst);
        }
    }

    /// Lets an app do what it likes, until it starts again: what is asked to end shall not wait for its files.
    pub fn lift(&self, app: &str) {
        self.lift_if(|name| name == app);
    }

    /// Lets all apps do what they like.
    pub fn lift_all(&self) {
        self.lift_if(|_| true);
    }

    fn lift_if(&self, chosen: impl Fn(&str) -> bool) {
        self.apps().iter().filter(|app| chosen(&app.name)).for_each(|app| app.account.lift());
        self.0.lifts.fetch_add(1, Ordering::SeqCst);
    }

    /// Whether there has been a limit.
    pub(super) fn has_some(&self) -> bool {
        self.0.some.load(Ordering::SeqCst)
    }

    /// How often limits have been lifted.
    pub(super) fn lifts(&self) -> u64 {
        self.0.lifts.load(Ordering::SeqCst)
    }

    /// Whether what is in a directory is of an app that has limits now.
    #[cfg(test)]
    pub(crate) fn is_limited(&self, tag: &str, name: &str) -> bool {
        self.of_directory(tag, name).is_some_and(|account| !account.is_lifted())
    }

    fn of_directory(&self, tag: &str, name: &str) -> Option<Arc<Account>> {
        let apps = self.apps();
        let is_it = |(of, directory): &(&str, String)| *of == tag && directory == name;
        let app = apps.iter().find(|app| app.directories.iter().any(is_it))?;
        Some(Arc::clone(&app.account))
    }

    fn apps(&self) -> MutexGuard<'_, Vec<App>> {
        self.0.apps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
