//! A real distribution from a real registry: Debian's docker-registry serves what debootstrap and umoci made, rkt pulls
//! it, and Debian's own tools look at it from inside the pod.

use std::time::Duration;

use tests::{Finished, Rkt, debian};

/// Twenty thousand files found, looked at, sorted and counted by pipes, and a tenth of them read.
const TWENTY_THOUSAND_FILES: &str = "set -e
cd /srv/many
ls | wc -l
find . -type f -printf '%s %p\\n' | sort -k 2 | awk '{ bytes += $1 } END { print NR, bytes }'
find . -type f -name '*[aeiou]' -print0 | sort -z | head -z -n 2000 | xargs -0 cat | wc -l";

fn run(rkt: &Rkt, image: &str, program: &str, words: &[&str]) -> Finished {
    let run = ["run", "--net=none", "--pull-policy=never", image, "--exec", program, "--"];
    rkt.run(run.iter().chain(words)).expect_success()
}

#[test]
fn debian_from_a_registry_is_whole_and_works() {
    let rkt = Rkt::new().limit(Duration::from_secs(600));
    let image = debian::fetch(&rkt, "test");

    let shell = run(&rkt, &image, "/bin/sh", &["-c", "echo $GREETING; pwd; . /etc/os-release; echo $ID"]);
    assert_eq!(shell.stdout_text(), "hello\n/srv\ndebian\n");

    let verified = run(&rkt, &image, "/usr/bin/dpkg", &["--verify"]);
    assert_eq!(verified.stdout_text(), "", "dpkg found changed files");

    let known = run(
        &rkt,
        &image,
        "/bin/sh",
        &["-c", "apt-cache pkgnames | grep -cx 'bash\\|dpkg'; apt-cache depends dpkg | head -n 1"],
    );
    assert_eq!(known.stdout_text(), "2\ndpkg\n");

    let python = "import hashlib, os, threading; print(sum(range(10)), os.getuid(), hashlib.sha256(b'x').hexdigest()[:8])";
    assert_eq!(run(&rkt, &image, "/usr/bin/python3", &["-c", python]).stdout_text(), "45 0 2d711642\n");

    let many = run(&rkt, &image, "/bin/sh", &["-c", TWENTY_THOUSAND_FILES]);
    assert_eq!(many.stdout_text(), "20000\n20000 108894\n2000\n");
}
