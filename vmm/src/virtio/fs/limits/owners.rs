//! Whose the files are that the guest knows: every inode below a directory of an app is that app's.

use std::{
    collections::HashMap,
    ffi::CStr,
    sync::{Arc, PoisonError, RwLock},
};

use super::{Account, IoLimits};

/// The inode of a share's root (`FUSE_ROOT_ID`).
const ROOT: u64 = 1;

/// The inodes of one share that are of apps with limits.
#[derive(Debug)]
pub(in crate::virtio::fs) struct Owners {
    tag: String,
    limits: IoLimits,
    inodes: RwLock<HashMap<u64, Owned>>,
}

/// An inode: whose it is, and how often the guest has been told of it.
#[derive(Debug)]
struct Owned {
    account: Arc<Account>,
    lookups: u64,
}

impl Owners {
    /// Those of the share `tag`.
    pub fn new(tag: &str, limits: IoLimits) -> Self {
        Owners { tag: tag.to_owned(), limits, inodes: RwLock::default() }
    }

    /// What says how often limits have been lifted.
    pub fn limits(&self) -> &IoLimits {
        &self.limits
    }

    /// Whose an inode is, if that is limited.
    pub fn of(&self, inode: u64) -> Option<Arc<Account>> {
        if !self.limits.has_some() {
            return None;
        }
        let inodes = self.inodes.read().unwrap_or_else(PoisonError::into_inner);
        inodes.get(&inode).map(|owned| Arc::clone(&owned.account))
    }

    /// The guest has been told of an inode by this name.
    pub fn told(&self, parent: u64, name: &CStr, inode: u64) {
        if !self.limits.has_some() {
            return;
        }
        let account = match parent {
            ROOT => name.to_str().ok().and_then(|name| self.limits.of_directory(&self.tag, name)),
            _ => self.of(parent),
        };
        let Some(account) = account else { return };
        let mut inodes = self.inodes.write().unwrap_or_else(PoisonError::into_inner);
        let owned =
            inodes.entry(inode).or_insert_with(|| Owned { account: Arc::clone(&account), lookups: 0 });
        // An app that starts again has another account.
        owned.account = account;
        owned.lookups = owned.lookups.saturating_add(1);
    }

    /// The guest has forgotten an inode as often as this.
    pub fn forget(&self, inode: u64, count: u64) {
        if !self.limits.has_some() {
            return;
        }
        let mut inodes = self.inodes.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(owned) = inodes.get_mut(&inode) {
            owned.lookups = owned.lookups.saturating_sub(count);
            if owned.lookups == 0 {
                inodes.remove(&inode);
            }
        }
    }

    /// The guest begins anew.
    pub fn clear(&self) {
        self.inodes.write().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::super::Rates;
    use super::*;

    #[test]
    fn what_is_below_an_apps_directory_is_its_own() {
        let limits = IoLimits::default();
        let owners = Owners::new("rootfs", limits.clone());
        owners.told(ROOT, c"early", 2);
        let rates = Rates { operations: NonZeroU64::new(1), ..Rates::default() };
        limits.limit("web", rates, vec![("rootfs", "web".into()), ("volumes", "0".into())]);
        for (parent, name, inode) in [(ROOT, c"web", 3), (3, c"rootfs", 4), (4, c"etc", 5), (4, c"etc", 5)] {
            owners.told(parent, name, inode);
        }
        owners.told(ROOT, c"0", 6);
        owners.told(ROOT, c"db", 7);
        let owned = |inode| owners.of(inode).is_some();
        assert_eq!([2, 3, 4, 5, 6, 7].map(owned), [false, true, true, true, false, false]);
        owners.forget(5, 1);
        assert!(owned(5));
        owners.forget(5, 9);
        owners.forget(99, 1);
        assert!(!owned(5) && owned(4));
        owners.clear();
        assert!(!owned(3));
    }
}
