use std::{fs, os::unix::fs::symlink};

use crate::kvm::{Host, HostError};

/// A host made of files, with a CPU of these flags.
fn host(flags: &str) -> (tempfile::TempDir, Host) {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::write(at("cpuinfo"), format!("processor\t: 0\nflags\t\t: fpu {flags} sse\n")).unwrap();
    fs::write(at("group"), "root:x:0:\nkvm:x:104:somebody\n").unwrap();
    fs::create_dir(at("module")).unwrap();
    let host = Host { device: at("kvm"), cpuinfo: at("cpuinfo"), modules: at("module"), groups: at("group") };
    (directory, host)
}

fn text(host: &Host) -> String {
    host.open().unwrap_err().to_string()
}

#[test]
fn a_missing_module_is_named() {
    for (flags, module) in [("vmx", "kvm_intel"), ("svm", "kvm_amd")] {
        let (_directory, host) = host(flags);
        let text = text(&host);
        assert!(
            text.ends_with(&format!("/kvm: KVM is not loaded; load it with \"modprobe {module}\"")),
            "{text}"
        );
    }
}

#[test]
fn a_cpu_without_virtualization_is_named() {
    let (_directory, host) = host("vmxoff");
    let text = text(&host);
    assert!(text.contains("no virtualization") && text.contains("firmware"), "{text}");
}

#[test]
fn a_device_without_a_driver_lacks_hardware_support() {
    let (_directory, mut host) = host("svm");
    // A device number nobody drives.
    let device = host.device.clone();
    let number = rustix::fs::makedev(10, 254);
    let made = rustix::fs::mknodat(
        rustix::fs::CWD,
        &device,
        rustix::fs::FileType::CharacterDevice,
        rustix::fs::Mode::RUSR,
        number,
    );
    if made.is_err() {
        eprintln!("skipped: not allowed to make a device node");
        return;
    }
    match host.open() {
        Err(HostError::NoBackend { module: "kvm_amd", .. }) => {}
        // Not every file system may hold devices.
        Err(HostError::Permission { .. }) => {}
        other => panic!("{other:?}"),
    }
    host.device = "/nonexistent/kvm".into();
    assert!(matches!(host.open(), Err(HostError::NotLoaded { .. })));
}

#[test]
fn the_group_that_may_open_the_device_is_named() {
    let error =
        |group: &str| HostError::Permission { device: "/dev/kvm".into(), group: group.into() }.to_string();
    assert_eq!(
        error("kvm"),
        "No permission to open /dev/kvm: become a member of group \"kvm\" (\"usermod -aG kvm USER\") or root"
    );
    let (directory, host) = host("vmx");
    fs::write(&host.device, "").unwrap();
    let group = |id: u32| {
        std::os::unix::fs::chown(&host.device, None, Some(id)).unwrap();
        host.owning_group()
    };
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root gives files away");
        return;
    }
    assert_eq!(group(104), "kvm");
    assert_eq!(group(0), "root");
    assert_eq!(group(4711), "4711", "A group without a name has a number");
    drop(directory);
}

#[test]
fn a_provider_without_guest_kernel_mode_is_refused() {
    let (directory, host) = host("");
    fs::create_dir(directory.path().join("module/kvm_pvm")).unwrap();
    assert!(text(&host).contains("use a host with hardware virtualization"), "{}", text(&host));
    // With a real provider beside it, the device is the real provider's.
    fs::create_dir(directory.path().join("module/kvm_amd")).unwrap();
    assert!(!matches!(host.open(), Err(HostError::NoKernelMode(_))));
}

#[test]
fn a_file_that_is_no_kvm_is_refused() {
    let (_directory, host) = host("svm");
    symlink("/dev/null", &host.device).unwrap();
    let error = host.open().unwrap_err();
    assert!(matches!(error, HostError::ApiVersion { version: -1, .. }), "{error}");
}
