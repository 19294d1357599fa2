//! The host the tests run in, as `tests/kvm-host/run` describes it in the environment.

use std::env;
use std::path::PathBuf;

/// How a test got its KVM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The machine's own, backed by hardware.
    Direct,
    /// QEMU's, emulated: everything privileged is some fifty times slower.
    Emulated,
}

/// The kind of this host.
///
/// # Panics
/// Outside a KVM host, where no pod could start.
pub fn kind() -> Kind {
    match env::var("RKT_TEST_HOST").as_deref() {
        Ok("direct") => Kind::Direct,
        Ok("emulated") => Kind::Emulated,
        _ => panic!(
            "Whole-pod tests need the KVM host: run them with `make pods` (TESTS='name' for one of them)"
        ),
    }
}

/// An empty directory on a real file system (overlay uppers, user xattrs), thrown away with the host.
///
/// # Panics
/// Outside a KVM host.
pub fn data_dir() -> PathBuf {
    kind();
    path("RKT_TEST_DATA")
}

/// The file or directory that `variable` names.
///
/// # Panics
/// When it is not set: `tests/run` sets all there are.
pub fn path(variable: &str) -> PathBuf {
    let value = env::var_os(variable).unwrap_or_else(|| panic!("{variable} is not set: tests/run sets it"));
    PathBuf::from(value)
}
