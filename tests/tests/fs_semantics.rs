//! What the file systems of a pod answer is what the host's own answers, question by question; where it is not, the question is
//! named here.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tests::{Aci, Pod, Rkt, host, process};

const PROGRAM: &str = env!("CARGO_BIN_EXE_answers");
const LIMIT: Duration = Duration::from_secs(540);

/// Questions that a pod's file systems answer otherwise, and how. All of it is the FUSE driver of the guest's kernel: it knows no
/// access control lists unless it checks them itself; has no message for these two kinds of allocation; forgets set-group-ID
/// after a write only where the group may execute; and sends nothing for a chown(2) that changes nothing.
const OTHERWISE: &[(&str, &str)] = &[
    (
        "access control list",
        "Operation not supported (os error 95), Permission denied (os error 13), Permission denied (os error 13), 100600",
    ),
    (
        "allocation",
        "ok, 65536, ok, 65536, ok, 65536, Operation not supported (os error 95), 65536, ok, 65536, \
         Operation not supported (os error 95), 65536, Operation not supported (os error 95), 65536, \
         Invalid argument (os error 22), 65536",
    ),
    ("set-user-ID after a write by others", "ok, 100777, ok, 102767"),
    ("set-user-ID after chown", "100755, 106755"),
];

/// The answers by question.
fn answers(text: &str) -> BTreeMap<&str, &str> {
    text.lines().filter_map(|line| line.split_once(": ")).collect()
}

/// What is answered otherwise than by the host, and not known to be.
fn differences(host: &str, pod: &str) -> Vec<String> {
    let (host, pod) = (answers(host), answers(pod));
    let expected = |question: &str, of_host: &str| {
        let otherwise = OTHERWISE.iter().find(|(known, _)| *known == question);
        otherwise.map_or_else(|| of_host.to_owned(), |(_, answer)| (*answer).to_owned())
    };
    let differs = |(question, of_host): (&&str, &&str)| {
        let (expected, found) =
            (expected(question, of_host), pod.get(question).copied().unwrap_or("nothing"));
        (expected != found).then(|| format!("{question}\n    expected {expected}\n    found    {found}"))
    };
    host.iter().filter_map(differs).collect()
}

fn image() -> String {
    let image = Aci::with_busybox("example.com/answers", &["/bin/sh"])
        .program("bin/answers", Path::new(PROGRAM))
        .directory("answers", 0o755)
        .write(&host::data_dir().join("answers.aci"));
    image.display().to_string()
}

#[test]
fn answers_are_the_hosts() {
    let many = std::env::var_os("RKT_ENDURANCE").is_some();
    let limit = if many { LIMIT * 6 } else { LIMIT };
    let entries = format!("ANSWERS_ENTRIES={}", if many { 100_000 } else { 300 });
    let rkt = Rkt::new().limit(limit);
    let image = image();
    let directory = |name: &str| {
        let directory =
            tempfile::Builder::new().prefix(name).tempdir_in(host::data_dir()).expect("a directory");
        fs::set_permissions(&directory, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .expect("its mode");
        directory
    };
    let (plain, volume) = (directory("plain"), directory("volume"));
    let mut command = Command::new("env");
    command.arg(&entries).arg(PROGRAM).arg(plain.path());
    let of_host = process::run(command, limit).expect_success().stdout_text();
    assert!(answers(&of_host).len() > 60 && !of_host.contains("could not be asked"), "{of_host}");
    // A guest needs many minutes to make them, and a moment to see them.
    let large = volume.path().join("large");
    let mut command = Command::new(PROGRAM);
    command.args(["--act", "make"]).arg(&large).arg("100000");
    process::run(command, LIMIT).expect_success();
    let script = format!(
        "export {entries}; /bin/answers --act list /mnt/large; /bin/answers /answers; echo ======; /bin/answers /mnt"
    );
    let source = format!("--volume=v,kind=host,source={}", volume.path().display());
    let words =
        ["run", "--net=none", &source, &image, "--mount=volume=v,target=/mnt", "--exec=/bin/sh", "--", "-c"];
    let finished = rkt.run(words.into_iter().chain([script.as_str()])).expect_success();
    let text = finished.stdout_text();
    let (large, text) = text.split_once('\n').expect("what is in the large directory");
    assert_eq!(large, "100000, 0, true, 0");
    let (of_rootfs, of_volume) = text.split_once("======\n").expect("both answers");
    let mut found = differences(&of_host, of_rootfs);
    found.extend(differences(&of_host, of_volume).into_iter().map(|line| format!("volume: {line}")));
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Two pods on one volume: what one does the other sees; locks are each pod's own, and what is mapped waits for a look at its file.
#[test]
fn two_pods_share_a_volume_but_not_its_locks() {
    let shared = tempfile::tempdir_in(host::data_dir()).expect("a directory");
    let volume = format!("--volume=v,kind=host,source={}", shared.path().display());
    let flags = ["--net=none", "--mount=volume=v,target=/mnt", &volume];
    let rkt = Rkt::new();
    let image = PathBuf::from(image());
    let start =
        |name: &str| Pod::of(&rkt, name, &flags, &image, &["--memory=64M"], "echo ready; exec sleep 600");
    let (one, two) = (start("one"), start("two"));
    let at = |pod: &Pod, script: &str| {
        let words = ["enter", &pod.uuid, "/bin/sh", "-c", script];
        rkt.run(words).expect_success().stdout_text()
    };
    // The lock is still held when the command has ended.
    at(&one, "echo first >/mnt/file; answers --act hold /mnt/file & sleep 0.5");
    assert_eq!(at(&one, "answers --act lock /mnt/file"), "Resource temporarily unavailable (os error 11)\n");
    assert_eq!(at(&two, "cat /mnt/file; answers --act lock /mnt/file"), "first\nok\n");
    at(
        &two,
        "echo second >/mnt/new; mv /mnt/new /mnt/file; mkdir -m 2775 /mnt/sub; ln /mnt/file /mnt/sub/link",
    );
    let seen = "sleep 1.2; cat /mnt/file; stat -c '%a %h' /mnt/sub/link /mnt/sub";
    assert_eq!(at(&one, seen), "second\n644 2\n2775 2\n");
    at(&one, "printf 0123 | dd of=/mnt/sub/link conv=notrunc 2>/dev/null");
    assert_eq!(at(&two, "sleep 1.2; cat /mnt/file; rm /mnt/file; ls /mnt"), "0123nd\nsub\n");
    assert_eq!(
        at(&one, "sleep 1.2; cat /mnt/file 2>&1; ls /mnt"),
        "cat: can't open '/mnt/file': No such file or directory\nsub\n"
    );
    // A host's processes would see the change at once.
    at(&one, "printf 'a%4095s' '' >/mnt/map; answers --act mapped /mnt/map >/tmp/seen 2>&1 &");
    let change = "until [ -e /mnt/map.mapped ]; do sleep 0.1; done
        printf b | dd of=/mnt/map conv=notrunc 2>/dev/null; touch /mnt/map.changed";
    at(&two, change);
    assert_eq!(at(&one, "until [ -s /tmp/seen ]; do sleep 0.1; done; cat /tmp/seen"), "a, a, b\n");
    assert_eq!(at(&two, "sleep 1.2; head -c 1 /mnt/map; tail -c 1 /mnt/map"), "bm");
    one.end();
    two.end();
}
