//! A real distribution from a real registry: Debian's docker-registry serves what debootstrap and umoci made, rkt pulls
//! it, and Debian's own tools look at it from inside the pod.

use std::{fs, net::TcpStream, path::Path, process::Command, time::Duration};

use tests::{Finished, Rkt, Running, host, wait};

const IMAGE: &str = "docker://127.0.0.1:5018/debian:test";

/// Twenty thousand files found, looked at, sorted and counted by pipes, and a tenth of them read.
const TWENTY_THOUSAND_FILES: &str = "set -e
cd /srv/many
ls | wc -l
find . -type f -printf '%s %p\\n' | sort -k 2 | awk '{ bytes += $1 } END { print NR, bytes }'
find . -type f -name '*[aeiou]' -print0 | sort -z | head -z -n 2000 | xargs -0 cat | wc -l";

fn serve(directory: &Path) -> Running {
    let configuration = directory.join("registry.yml");
    let storage = host::path("RKT_TEST_REGISTRY");
    let text = format!(
        "version: 0.1\nlog: {{ level: error }}\nstorage: {{ filesystem: {{ rootdirectory: {} }} }}\nhttp: {{ addr: \"127.0.0.1:5018\" }}\n",
        storage.display()
    );
    fs::write(&configuration, text).expect("write the registry's configuration");
    let mut command = Command::new("docker-registry");
    command.arg("serve").arg(configuration);
    let registry = Running::start(command, Duration::from_secs(1400));
    wait::until("docker-registry answers", Duration::from_secs(60), || {
        TcpStream::connect("127.0.0.1:5018").is_ok()
    });
    registry
}

fn run(rkt: &Rkt, program: &str, words: &[&str]) -> Finished {
    let run = [
        "--insecure-options=image,http",
        "run",
        "--net=none",
        "--pull-policy=never",
        IMAGE,
        "--exec",
        program,
        "--",
    ];
    rkt.run(run.iter().chain(words)).expect_success()
}

#[test]
fn debian_from_a_registry_is_whole_and_works() {
    let rkt = Rkt::new().limit(Duration::from_secs(600));
    let registry = serve(rkt.dir());
    let fetched = rkt.run(["--insecure-options=image,http", "fetch", IMAGE]).expect_success();
    assert!(fetched.stdout_text().starts_with("sha512-"), "{fetched:?}");
    drop(registry);

    let shell = run(&rkt, "/bin/sh", &["-c", "echo $GREETING; pwd; . /etc/os-release; echo $ID"]);
    assert_eq!(shell.stdout_text(), "hello\n/srv\ndebian\n");

    let verified = run(&rkt, "/usr/bin/dpkg", &["--verify"]);
    assert_eq!(verified.stdout_text(), "", "dpkg found changed files");

    let known = run(
        &rkt,
        "/bin/sh",
        &["-c", "apt-cache pkgnames | grep -cx 'bash\\|dpkg'; apt-cache depends dpkg | head -n 1"],
    );
    assert_eq!(known.stdout_text(), "2\ndpkg\n");

    let python = "import hashlib, os, threading; print(sum(range(10)), os.getuid(), hashlib.sha256(b'x').hexdigest()[:8])";
    assert_eq!(run(&rkt, "/usr/bin/python3", &["-c", python]).stdout_text(), "45 0 2d711642\n");

    let many = run(&rkt, "/bin/sh", &["-c", TWENTY_THOUSAND_FILES]);
    assert_eq!(many.stdout_text(), "20000\n20000 108894\n2000\n");
}
