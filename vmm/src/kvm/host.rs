//! Whether this host can run guests at all, and if not, what its administrator can do.

use std::{
    ffi::CString,
    fs, io,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
};

use kvm_ioctls::{Cap, Kvm};

/// The only API version there has been since Linux 2.6.22.
const API_VERSION: i32 = 12;

/// What KVM must be able to do.
const NEEDED: [(Cap, &str); 8] = [
    (Cap::Irqchip, "KVM_CAP_IRQCHIP"),
    (Cap::Ioeventfd, "KVM_CAP_IOEVENTFD"),
    (Cap::Irqfd, "KVM_CAP_IRQFD"),
    (Cap::UserMemory, "KVM_CAP_USER_MEMORY"),
    (Cap::SetTssAddr, "KVM_CAP_SET_TSS_ADDR"),
    (Cap::ExtCpuid, "KVM_CAP_EXT_CPUID"),
    (Cap::MpState, "KVM_CAP_MP_STATE"),
    (Cap::ImmediateExit, "KVM_CAP_IMMEDIATE_EXIT"),
];

/// Why no guest can run on this host. Each is one line that names the cause and what to do.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The module is not loaded, and this is the one.
    #[error("No {device}: KVM is not loaded; load it with \"modprobe {module}\"")]
    NotLoaded {
        /// Path of the device.
        device: String,
        /// The module for this host's CPU.
        module: &'static str,
    },
    /// No device, and no hardware for it.
    #[error(
        "No {0}: this host's CPU offers no virtualization (neither \"vmx\" nor \"svm\" in /proc/cpuinfo); enable it in \
         the firmware, or nested virtualization if this host is itself a virtual machine"
    )]
    NoHardware(String),
    /// The device is there, but nothing behind it.
    #[error(
        "{device} has no hardware support behind it; enable virtualization in the firmware, or nested virtualization \
         if this host is itself a virtual machine, then load \"{module}\""
    )]
    NoBackend {
        /// Path of the device.
        device: String,
        /// The module for this host's CPU.
        module: &'static str,
    },
    /// The user may not open the device.
    #[error(
        "No permission to open {device}: become a member of group \"{group}\" (\"usermod -aG {group} USER\") or root"
    )]
    Permission {
        /// Path of the device.
        device: String,
        /// The group that owns it.
        group: String,
    },
    /// Something else is wrong with the device.
    #[error("Cannot open {device}")]
    Open {
        /// Path of the device.
        device: String,
        /// Why.
        source: io::Error,
    },
    /// A KVM of another world.
    #[error(
        "{device} speaks version {version} of the KVM API, not {API_VERSION}; run a Linux kernel of this century"
    )]
    ApiVersion {
        /// Path of the device.
        device: String,
        /// The version it speaks.
        version: i32,
    },
    /// A KVM that cannot do what is needed.
    #[error("{device} lacks {}; run a newer Linux kernel with a complete KVM", .missing.join(", "))]
    Capabilities {
        /// Path of the device.
        device: String,
        /// Names of what is missing.
        missing: Vec<&'static str>,
    },
    /// KVM by page tables only: guest kernel mode runs in an incomplete emulator.
    #[error(
        "{0} is provided by kvm_pvm, which cannot run an unmodified guest kernel; use a host with hardware \
         virtualization (kvm_intel or kvm_amd)"
    )]
    NoKernelMode(String),
}

/// Where a host shows what it can do.
#[derive(Debug, Clone)]
pub struct Host {
    /// KVM's device.
    pub device: PathBuf,
    /// Flags of the CPU.
    pub cpuinfo: PathBuf,
    /// Loaded modules.
    pub modules: PathBuf,
    /// Names of groups.
    pub groups: PathBuf,
}

impl Default for Host {
    fn default() -> Self {
        Host {
            device: "/dev/kvm".into(),
            cpuinfo: "/proc/cpuinfo".into(),
            modules: "/sys/module".into(),
            groups: "/etc/group".into(),
        }
    }
}

impl Host {
    /// Opens KVM, if it can run guests.
    pub fn open(&self) -> Result<Kvm, HostError> {
        if self.module_loaded("kvm_pvm") && !self.module_loaded("kvm_intel") && !self.module_loaded("kvm_amd")
        {
            return Err(HostError::NoKernelMode(self.name()));
        }
        self.open_any()
    }

    /// Opens KVM, even one that cannot run a guest's kernel.
    pub fn open_any(&self) -> Result<Kvm, HostError> {
        let path = CString::new(self.device.as_os_str().as_bytes())
            .map_err(|error| HostError::Open { device: self.name(), source: error.into() })?;
        let kvm = Kvm::new_with_path(path).map_err(|errno| self.explain(errno.into()))?;
        let version = kvm.get_api_version();
        if version != API_VERSION {
            return Err(HostError::ApiVersion { device: self.name(), version });
        }
        let missing: Vec<_> =
            NEEDED.iter().filter(|(cap, _)| !kvm.check_extension(*cap)).map(|need| need.1).collect();
        if !missing.is_empty() {
            return Err(HostError::Capabilities { device: self.name(), missing });
        }
        Ok(kvm)
    }

    fn explain(&self, source: io::Error) -> HostError {
        let device = self.name();
        match (source.raw_os_error(), self.module()) {
            (Some(libc::ENOENT), Some(module)) => HostError::NotLoaded { device, module },
            (Some(libc::ENOENT), None) => HostError::NoHardware(device),
            (Some(libc::ENODEV | libc::ENXIO), module) => {
                HostError::NoBackend { device, module: module.unwrap_or("kvm_intel or kvm_amd") }
            }
            (Some(libc::EACCES | libc::EPERM), _) => {
                HostError::Permission { device, group: self.owning_group() }
            }
            _ => HostError::Open { device, source },
        }
    }

    /// The module that drives this host's CPU; `None` if it has no virtualization.
    fn module(&self) -> Option<&'static str> {
        let cpuinfo = fs::read_to_string(&self.cpuinfo).unwrap_or_default();
        let flags = cpuinfo.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
        flags.split_whitespace().find_map(|flag| match flag {
            "vmx" => Some("kvm_intel"),
            "svm" => Some("kvm_amd"),
            _ => None,
        })
    }

    fn module_loaded(&self, name: &str) -> bool {
        self.modules.join(name).exists()
    }

    /// Name of the group that owns the device, or its number where it has no name.
    pub(super) fn owning_group(&self) -> String {
        let Ok(id) = fs::metadata(&self.device).map(|metadata| metadata.gid().to_string()) else {
            return "kvm".to_owned();
        };
        let groups = fs::read_to_string(&self.groups).unwrap_or_default();
        let name = groups.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)? == id).then(|| name.to_owned())
        });
        name.unwrap_or(id)
    }

    fn name(&self) -> String {
        Path::display(&self.device).to_string()
    }
}
