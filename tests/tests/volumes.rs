//! Volumes, looked at from inside the apps.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::json;
use tests::{Aci, Finished, Rkt, aci, host, inside, wait};

/// Directories of the host, with mounts of their own that are undone at the end.
struct Host {
    directory: tempfile::TempDir,
}

impl Host {
    fn new() -> Self {
        let directory = tempfile::tempdir_in(host::data_dir()).expect("a directory");
        let host = Host { directory };
        // Mounts made later reach a pod only from a shared mount, which systemd makes of everything.
        host.command("mount", &["--bind", "--make-shared"], &[host.path(""), host.path("")]);
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::create_dir_all(self.path(name).parent().expect("a parent")).expect("make directories");
        fs::write(self.path(name), text).expect("write a file");
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| format!("{name}: {error}"))
    }

    fn tmpfs(&self, name: &str) {
        fs::create_dir_all(self.path(name)).expect("make directories");
        self.command("mount", &["-t", "tmpfs", "none"], &[self.path(name)]);
    }

    fn command(&self, program: &str, words: &[&str], paths: &[PathBuf]) {
        let status = Command::new(program).args(words).args(paths).status().expect(program);
        assert!(status.success(), "{program} {words:?} {paths:?}");
    }

    fn volume(&self, name: &str, source: &str, options: &str) -> String {
        format!("--volume={name},kind=host,source={}{options}", self.path(source).display())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-R").arg(self.directory.path()).status();
    }
}

/// Runs a pod: flags before the image, flags after it, and what its shell does.
fn run(rkt: &Rkt, pod: &[String], image: &Path, app: &[&str], script: &str) -> Finished {
    let mut words: Vec<String> = ["run", "--net=none"].map(str::to_owned).into();
    words.extend_from_slice(pod);
    words.push(image.display().to_string());
    words.extend(app.iter().chain(&["--exec", "/bin/sh", "--", "-c", script]).map(|word| (*word).to_owned()));
    rkt.run(words)
}

/// What stage1 said, without what depends on the host.
fn without_notice(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.contains("rkt_group") && !line.contains("group \"rkt\"")).collect()
}

#[test]
fn directories_and_files_of_the_host_by_flags() {
    let host = Host::new();
    host.write("data/file", "data");
    host.tmpfs("data/below");
    host.write("data/below/file", "below");
    host.write("single", "single");
    let image = Aci::with_busybox("example.com/links", &["/bin/sh"])
        .symlink("absolute", "/var/real")
        .symlink("dangling", "var/made/here")
        .symlink("slash", "/")
        .symlink("up", "../../..")
        .directory("var/real", 0o755)
        .write(&host.path("links.aci"));
    let pod = [
        host.volume("data", "data", ""),
        host.volume("frozen", "data", ",readOnly=true"),
        host.volume("flat", "data", ",recursive=false"),
        host.volume("single", "single", ""),
        "--volume=scratch,kind=empty,mode=1770,uid=5,gid=6".to_owned(),
    ];
    let mounts = [
        "--mount=volume=data,target=/data",
        "--mount=volume=frozen,target=/frozen",
        "--mount=volume=flat,target=/flat",
        "--mount=volume=single,target=/etc/deep/er/single",
        "--mount=volume=scratch,target=/absolute/inner",
        "--mount=volume=scratch,target=/dangling",
        "--mount=volume=scratch,target=/slash/rooted",
        "--mount=volume=scratch,target=/up/escape/../scratch",
        "--mount=volume=data,target=/data/nested",
    ];
    let script = inside::script(
        "data",
        &[
            ("read", "cat /data/file /data/below/file /frozen/file /frozen/below/file"),
            ("write", "echo new > /data/new && echo new > /data/below/new && echo ok"),
            ("frozen", "echo x > /frozen/file"),
            ("frozen below", "echo x > /frozen/below/file"),
            ("frozen change", "chmod 700 /frozen/file; rm /frozen/file; mkdir /frozen/below/x"),
            ("frozen mounts", "grep -c ' /frozen.* ro[, ]' /proc/self/mountinfo"),
            ("flat", "ls /flat/below"),
            ("single", "cat /etc/deep/er/single; echo changed > /etc/deep/er/single"),
            ("scratch", "stat -c '%a %u %g' /var/real/inner"),
            (
                "one",
                "echo one > /var/real/inner/a; cat /var/made/here/a /rooted/a /scratch/a /absolute/inner/a",
            ),
            ("nested", "cat /data/nested/below/file"),
            ("mode", "stat -c %a /etc/deep/er"),
            ("names", "ls /var/made"),
        ],
    );
    let rkt = Rkt::new();
    let finished = run(&rkt, &pod, &image, &mounts, &script).expect_success();
    inside::expect(
        &finished,
        "data",
        &[
            "read: databelowdatabelow",
            "write: ok",
            "frozen: /bin/sh: can't create /frozen/file: Read-only file system",
            "frozen below: /bin/sh: can't create /frozen/below/file: Read-only file system",
            "frozen change: chmod: /frozen/file: Read-only file system \
             rm: can't remove '/frozen/file': Read-only file system \
             mkdir: can't create directory '/frozen/below/x': Read-only file system",
            "frozen mounts: 2",
            "flat:",
            "single: single",
            "scratch: 1770 5 6",
            "one: one one one one",
            "nested: below",
            "mode: 755",
            "names: here",
        ],
    );
    assert_eq!(
        host.read("data/new") + &host.read("data/below/new") + &host.read("single"),
        "new\nnew\nchanged\n"
    );
}

#[test]
fn the_host_and_the_pod_see_each_others_changes() {
    let host = Host::new();
    host.write("data/file", "before");
    let script = "cat /data/file; echo started
        until [ \"$(cat /data/file)\" = after ]; do sleep 0.1; done
        until [ -e /data/later/file ]; do sleep 0.1; done
        cat /data/later/file; echo; ls /frozen/later; echo seen
        while [ -e /data/later/file ]; do sleep 0.1; done
        mkdir /data/inner; mount -t tmpfs none /data/inner; touch /data/inner/own
        echo written > /data/answer; mv /data/answer /data/renamed
        ln -s file /data/link; chown 7:8 /data/link /data/renamed; chmod 640 /data/renamed";
    let rkt = Rkt::new();
    let image = aci::busybox();
    let image = image.to_str().expect("UTF-8");
    let (volume, frozen) = (host.volume("data", "data", ""), host.volume("frozen", "data", ",readOnly=true"));
    let mounts = ["--mount=volume=data,target=/data", "--mount=volume=frozen,target=/frozen"];
    let rights = "--caps-retain=CAP_SYS_ADMIN,CAP_CHOWN,CAP_FOWNER,CAP_DAC_OVERRIDE";
    let words = ["run", "--net=none", &volume, &frozen].into_iter().chain(mounts).chain([image, rights]);
    let mut pod = rkt.start(words.chain(["--exec", "/bin/sh", "--", "-c", script]));
    pod.wait_for_stdout("started");
    host.write("data/file", "after");
    host.tmpfs("data/later");
    host.write("data/later/file", "mounted later");
    pod.wait_for_stdout("seen");
    host.command("umount", &["--lazy"], &[host.path("data/later")]);
    let finished = pod.finish().expect_success();
    assert_eq!(finished.stdout_text(), "beforestarted\nmounted later\nseen\n");
    assert_eq!(host.read("data/renamed"), "written\n");
    assert!(host.path("data/inner").is_dir() && !host.path("data/inner/own").exists());
    let metadata = host.path("data/renamed").metadata().expect("metadata");
    assert_eq!((metadata.uid(), metadata.gid(), metadata.mode() & 0o777), (7, 8, 0o640));
    assert_eq!(fs::read_link(host.path("data/link")).expect("a link"), Path::new("file"));
}

/// The blocks of what the host deletes are free again soon, though a pod that is idle remembers the file; what it has open it reads
/// on.
#[test]
fn what_the_host_deletes_is_not_kept() {
    const SIZE: usize = 16 << 20;
    let (host, rkt) = (Host::new(), Rkt::new());
    host.tmpfs("data");
    fs::write(host.path("data/big"), vec![7; SIZE]).expect("a file");
    host.write("data/open", "still here\n");
    let used = || {
        let mut df = Command::new("df");
        let output =
            df.args(["--output=used", "--block-size=1"]).arg(host.path("data")).output().expect("df");
        let text = String::from_utf8(output.stdout).expect("text");
        text.lines().last().and_then(|used| used.trim().parse::<usize>().ok()).expect("a number")
    };
    let volume = host.volume("data", "data", "");
    let script = "cat /data/big | wc -c; exec 3</data/open; echo read; until [ -e /data/go ]; do sleep 0.2; done; \
                  cat <&3; stat -c '%h %s' /proc/self/fd/3 -L; ls /data/big; echo new >/data/big && cat /data/big";
    let image = aci::busybox().display().to_string();
    let mount = "--mount=volume=data,target=/data";
    let words = ["run", "--net=none", &volume, &image, mount, "--exec", "/bin/sh", "--", "-c", script];
    let mut pod = rkt.start(words);
    pod.wait_for_stdout("read");
    assert!(used() >= SIZE);
    fs::remove_file(host.path("data/big")).expect("remove");
    fs::remove_file(host.path("data/open")).expect("remove");
    wait::until("the blocks to be free", Duration::from_secs(60), || used() < SIZE);
    host.write("data/go", "");
    let finished = pod.finish().expect_success();
    assert_eq!(finished.stdout_text(), format!("{SIZE}\nread\nstill here\n0 11\nnew\n"));
    assert!(finished.stderr_text().contains("No such file"), "{}", finished.stderr_text());
}

#[test]
fn two_apps_share_volumes_and_get_what_their_images_ask_for() {
    let host = Host::new();
    host.write("data/file", "data");
    host.write("other/file", "other");
    let image = |name: &str, read_only: bool| {
        let points = json!([
            {"name": "data", "path": "/data", "readOnly": read_only},
            {"name": "cache", "path": "/cache"},
            {"name": "wide", "path": "/wide"},
        ]);
        Aci::with_busybox(&format!("example.com/{name}"), &["/bin/sh"])
            .app("mountPoints", points)
            .directory("cache", 0o700)
            .file("cache/of-the-image", "", 0o644)
            .write(&host.path(&format!("{name}.aci")))
    };
    let (reader, writer) = (image("reader", true), image("writer", false));
    let read = "until [ -p /shared/fifo ]; do sleep 0.1; done; cat /shared/fifo
        touch /shared/seen
        cat /data/file; echo x > /data/file || echo refused; ls /cache; cat /wide/file";
    let write = "mkfifo /shared/fifo; echo through > /shared/fifo
        echo written > /data/new; until [ -e /shared/seen ]; do sleep 0.1; done; cat /wide/file";
    let words = [
        "run",
        "--net=none",
        &host.volume("data", "data", ""),
        &host.volume("wide", "other", ",readOnly=true"),
        &host.volume("own", "data", ""),
        "--volume=shared,kind=empty",
        "--mount=volume=shared,target=/shared",
        "--mount=volume=own,target=/wide",
        &reader.display().to_string(),
        "--mount=volume=wide,target=/wide/",
        "--exec=/bin/sh",
        "--",
        "-c",
        read,
        "---",
        &writer.display().to_string(),
        "--exec=/bin/sh",
        "--",
        "-c",
        write,
    ]
    .map(str::to_owned);
    let rkt = Rkt::new();
    let finished = rkt.run(words).expect_success();
    let (text, errors) = (finished.stdout_text(), finished.stderr_text());
    for expected in ["through\ndata", "refused\n", "other"] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    // The per-app mount won in one app; in the other the pod-wide one won over the mount point.
    assert!(text.replace("other", "").matches("data").count() == 2, "{text}");
    assert!(!text.contains("of-the-image"), "an ordinary image's content stays hidden: {text}");
    for app in ["reader", "writer"] {
        let warning = format!("warning: no volume specified for mount point \"cache\" of app {app}");
        assert!(errors.contains(&warning), "{errors}");
    }
    assert_eq!(host.read("data/new"), "written\n");
}

#[test]
fn volumes_by_pod_manifest() {
    let host = Host::new();
    host.write("data/file", "data");
    let rkt = Rkt::new();
    let image = aci::busybox();
    let fetched = rkt.run(["fetch", "--full", image.to_str().expect("UTF-8")]).expect_success().stdout_text();
    let empty = json!({"name": "data", "kind": "empty", "mode": "0700", "uid": 9});
    let app = |name: &str, mounts: serde_json::Value, script: &str| {
        json!({
            "name": name,
            "image": {"id": fetched.trim()},
            "app": {"exec": ["/bin/sh", "-c", script], "user": "0", "group": "0",
                "mountPoints": [{"name": "data", "path": "/point"}]},
            "mounts": mounts,
        })
    };
    let look = "for d in /data /point; do stat -c '%n %a %u' $d; ls $d; done";
    let manifest = json!({
        "acVersion": "0.8.11",
        "acKind": "PodManifest",
        "volumes": [{"name": "data", "kind": "host", "source": host.path("data")}],
        "apps": [
            app("own", json!([{"volume": "data", "path": "/data", "appVolume": empty}]), look),
            app("pods", json!([{"volume": "data", "path": "/data"}]), "sleep 2; cat /data/file"),
        ],
    });
    host.write("pod.json", &manifest.to_string());
    let flag = format!("--pod-manifest={}", host.path("pod.json").display());
    let finished = rkt.run(["run", "--net=none", &flag]).expect_success();
    let uid = host.path("data").metadata().expect("metadata").uid();
    assert_eq!(finished.stdout_text(), format!("/data 700 9\n/point 755 {uid}\nfile\ndata"));
}

#[test]
fn a_missing_source_is_one_line() {
    let rkt = Rkt::new();
    let pod = ["--volume=data,kind=host,source=/foo-not-there".to_owned()];
    let finished = run(&rkt, &pod, &aci::busybox(), &["--mount=volume=data,target=/data"], "true");
    let finished = finished.expect_status(254);
    let expected = "stage1: Cannot provide the pod's volumes: Cannot use source \"/foo-not-there\" of volume \"data\": \
                    No such file or directory (os error 2)";
    assert_eq!(without_notice(&finished.stderr_text()), [expected]);
}

#[test]
fn nothing_is_mounted_when_a_pod_has_gone_however_it_went() {
    let host = Host::new();
    host.write("data/file", "data");
    let rkt = Rkt::new();
    let mounts = |wanted: &str| {
        let table = fs::read_to_string("/proc/self/mountinfo").expect("mountinfo");
        table.lines().filter(|line| line.contains(wanted)).count()
    };
    let before = mounts(host.directory.path().to_str().expect("UTF-8"));
    let image = aci::busybox();
    let volume = host.volume("data", "data", "");
    let words = ["run", "--net=none", &volume, image.to_str().expect("UTF-8")];
    let app = ["--mount=volume=data,target=/data", "--exec", "/bin/sh", "--", "-c", "echo up; sleep 600"];
    let mut pod = rkt.start(words.iter().chain(&app));
    pod.wait_for_stdout("up");
    assert_eq!(mounts("rkt/volumes"), 0, "a pod's mounts are its own");
    pod.signal(9);
    pod.finish().expect_status(137);
    assert_eq!(mounts(host.directory.path().to_str().expect("UTF-8")), before);
    host.command("umount", &[], &[host.path("")]);
    rkt.run(["gc", "--grace-period=0s"]).expect_success();
    wait::until("the pod's directory is gone", Duration::from_secs(10), || {
        fs::read_dir(rkt.dir().join("pods/run")).map_or(0, Iterator::count) == 0
    });
    assert_eq!(host.read("data/file"), "data", "gc leaves sources alone");
}
