//! How each contender is started: the same kernel, initramfs, CPUs and memory.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

/// Guest RAM of every contender, in MiB.
pub const MEMORY_MIB: u64 = 256;

/// Where the built things are; `tests/bench/run` says so through the environment.
#[derive(Debug)]
pub struct Machines {
    name: String,
    build: PathBuf,
    /// A fresh directory on a file system that overlays can lie on.
    pub data: PathBuf,
    /// Another build of ours to compare with.
    base: Option<Box<Machines>>,
}

impl Machines {
    /// Reads `RKT_BENCH_BUILD`, `RKT_TEST_DATA`, and of the other build `RKT_BENCH_BASE` and `RKT_BENCH_BASE_NAME`.
    pub fn from_environment() -> Result<Self> {
        let path =
            |name: &str| env::var_os(name).map(PathBuf::from).with_context(|| format!("{name} is not set"));
        let data = path("RKT_TEST_DATA")?;
        let base = env::var("RKT_BENCH_BASE_NAME").ok().map(|name| {
            let (build, data) = (path("RKT_BENCH_BASE")?, data.join("base"));
            Ok::<_, anyhow::Error>(Box::new(Machines { name, build, data, base: None }))
        });
        Ok(Machines { name: "ours".into(), build: path("RKT_BENCH_BUILD")?, data, base: base.transpose()? })
    }

    /// What it is called beside others.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Builds of ours: this one first.
    pub fn builds(&self) -> impl Iterator<Item = &Machines> {
        [self].into_iter().chain(self.base.as_deref())
    }

    /// The VMM alone: kernel, initramfs, serial console, no devices.
    pub fn ours(&self) -> Command {
        self.ours_with(&self.build.join("vmlinux"))
    }

    /// The same with another kernel.
    pub fn ours_with(&self, kernel: &Path) -> Command {
        let mut command = Command::new(self.build.join("boot"));
        command.arg(kernel).arg(self.build.join("initramfs"));
        command.args(["--cpus", "1", "--memory", &MEMORY_MIB.to_string(), "--append", "quiet"]);
        command
    }

    /// QEMU's smallest machine, with a network device at a tap that exists.
    pub fn qemu_with_network(&self, tap: &str) -> Command {
        let netdev = format!("tap,id=network,ifname={tap},script=no,downscript=no,vhost=on");
        let mut command = Command::new("qemu-system-x86_64");
        command
            .args(["-M", "microvm,accel=kvm,acpi=off,pit=off,pic=off,rtc=off,isa-serial=off"])
            .args(["-cpu", "host", "-smp", "1", "-m", &MEMORY_MIB.to_string()])
            .args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"])
            .args(["-global", "virtio-mmio.force-legacy=false"])
            .args(["-netdev", &netdev, "-device", "virtio-net-device,netdev=network"])
            .args(["-append", "quiet panic=-1 reboot=t tsc=reliable no_timer_check"])
            .arg("-kernel")
            .arg(self.build.join("vmlinux"))
            .arg("-initrd")
            .arg(self.build.join("network-initramfs"));
        command
    }

    /// The same with a shared directory, and a console.
    pub fn qemu_with_files(&self, socket: &Path) -> Command {
        let mut command = Command::new("qemu-system-x86_64");
        let memory = format!("memory-backend-memfd,id=ram,size={MEMORY_MIB}M,share=on");
        let server = format!("socket,id=files,path={}", socket.display());
        command
            .args([
                "-M",
                "microvm,accel=kvm,acpi=off,pit=off,pic=off,rtc=off,isa-serial=on,memory-backend=ram",
            ])
            .args(["-cpu", "host", "-smp", "1", "-m", &MEMORY_MIB.to_string(), "-object", &memory])
            .args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio"])
            .args(["-global", "virtio-mmio.force-legacy=false"])
            .args(["-chardev", &server, "-device", "vhost-user-fs-device,chardev=files,tag=shared"])
            .args(["-append", "console=ttyS0 quiet panic=-1 reboot=t tsc=reliable no_timer_check"])
            .arg("-kernel")
            .arg(self.build.join("vmlinux"))
            .arg("-initrd")
            .arg(self.build.join("files-initramfs"));
        command
    }

    /// The program that serves QEMU's machine a directory, where there is one.
    pub fn virtiofsd(&self) -> Option<PathBuf> {
        let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let cache = cache.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")));
        let unpacked = cache.map(|cache| cache.join("rkt/qemu/virtiofsd"));
        let known = ["/usr/libexec/virtiofsd", "/usr/lib/qemu/virtiofsd"].map(PathBuf::from);
        known.into_iter().chain(unpacked).find(|program| program.exists())
    }

    /// What works on files.
    pub fn file_load(&self) -> PathBuf {
        self.build.join("file-load")
    }

    /// The far end of the network benchmark.
    pub fn net_peer(&self) -> PathBuf {
        self.build.join("net-peer")
    }

    /// QEMU's smallest machine, as its documentation starts it for speed, with the same console.
    pub fn qemu(&self) -> Command {
        let mut command = Command::new("qemu-system-x86_64");
        command
            .args([
                "-M",
                "microvm,accel=kvm,acpi=off,pit=off,pic=off,rtc=off,isa-serial=on,auto-kernel-cmdline=off",
            ])
            .args(["-cpu", "host", "-smp", "1", "-m", &MEMORY_MIB.to_string()])
            .args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio"])
            .args(["-append", "console=ttyS0 quiet panic=-1 reboot=t tsc=reliable no_timer_check"])
            .arg("-kernel")
            .arg(self.build.join("vmlinux"))
            .arg("-initrd")
            .arg(self.build.join("initramfs"));
        command
    }

    /// `rkt` with its data directory on the fresh file system and our stage1 beside it.
    pub fn rkt(&self) -> Command {
        let mut command = Command::new(self.build.join("rkt"));
        command.arg(format!("--dir={}", self.data.join("rkt").display())).arg("--insecure-options=image");
        command.arg(format!("--local-config={}", self.data.join("rkt-config").display()));
        command
    }

    /// The image whose app is `first-instruction`, and that has `net-peer` and `file-load`, too.
    pub fn image(&self) -> PathBuf {
        self.build.join("first-instruction.aci")
    }
}
