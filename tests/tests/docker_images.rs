//! Docker's images, as their configuration says, looked at from inside.

use std::fs::{self, Permissions};
use std::io::Read as _;
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tests::network::sh;
use tests::{Rkt, inside, inside::Look, wait};

const LIMIT: Duration = Duration::from_secs(60);

/// What Docker's configuration says, made by umoci.
const DOCKER: &[&str] = &[
    "--config.entrypoint=/bin/sh",
    "--config.entrypoint=/run.sh",
    "--config.cmd=one",
    "--config.cmd=two words",
    "--config.user=app",
    "--config.env=OWN=docker",
    "--config.workingdir=/srv",
    "--config.exposedports=8080/tcp",
    "--config.volume=/data",
    "--config.stopsignal=SIGUSR1",
];
const DOCKER_LOOKS: &[Look<'_>] = &[
    ("user", "id -u; id -g; echo $HOME $USER"),
    ("capabilities", "grep -E 'Cap(Bnd|Eff)' /proc/self/status | cut -f 2"),
    ("environment", "echo $OWN"),
    ("where", "pwd"),
    ("arguments", "echo $# \"$1\" \"$2\""),
    ("volume", "stat -c '%a %u' /data; grep -c ' /data ' /proc/self/mountinfo"),
];

/// An OCI layout being made, of one layer.
struct Layout(String);

impl Layout {
    /// Busybox, a few users, and this script as `/run.sh`; `base` is that image.
    fn make(directory: &Path, script: &str) -> Self {
        let files = directory.join("files");
        for name in ["bin", "etc"] {
            fs::create_dir_all(files.join(name)).expect("directories");
        }
        fs::copy("/bin/busybox", files.join("bin/busybox")).expect("busybox-static is installed");
        for applet in ["sh", "id", "grep", "cut", "stat", "nc", "sleep"] {
            symlink("busybox", files.join("bin").join(applet)).expect("a link");
        }
        fs::write(files.join("etc/passwd"), "app:x:70:71::/home/app:/bin/sh\n").expect("a file");
        fs::write(files.join("etc/group"), "app:x:71:\nwheel:x:10:\n").expect("a file");
        fs::write(files.join("run.sh"), script).expect("a file");
        let layout = Layout(directory.join("oci").display().to_string());
        umoci(&["init", "--layout", &layout.0]);
        umoci(&["new", "--image", &layout.tagged("base")]);
        umoci(&["insert", "--image", &layout.tagged("base"), files.to_str().expect("UTF-8"), "/"]);
        layout
    }

    fn tagged(&self, tag: &str) -> String {
        format!("{}:{tag}", self.0)
    }

    /// Makes the image `tag` of `base`, with this configuration; returns what rkt calls it.
    fn configured(&self, tag: &str, configuration: &[&str]) -> String {
        let words = ["config", "--image", &self.tagged("base"), "--tag", tag];
        umoci(&[&words, configuration].concat());
        format!("oci:{}", self.tagged(tag))
    }

    /// Changes the configuration of an image, where umoci has no word for it.
    fn edit(&self, tag: &str, change: impl FnOnce(&mut Value)) {
        let root = Path::new(&self.0);
        let read = |path: &Path| -> Value {
            serde_json::from_slice(&fs::read(path).expect("a file")).expect("JSON")
        };
        let blob = |digest: &Value| {
            let digest = digest.as_str().expect("a digest");
            root.join("blobs/sha256").join(digest.strip_prefix("sha256:").expect("SHA-256"))
        };
        let write = |content: &Value, descriptor: &mut Value| {
            let aside = root.join("aside");
            fs::write(&aside, content.to_string()).expect("a file");
            let sum = sh(&format!("sha256sum {} | cut -d' ' -f1", aside.display()));
            descriptor["digest"] = json!(format!("sha256:{}", sum.trim()));
            descriptor["size"] = json!(content.to_string().len());
            fs::rename(aside, blob(&descriptor["digest"])).expect("a blob");
        };
        let mut index = read(&root.join("index.json"));
        let manifests = index["manifests"].as_array_mut().expect("manifests");
        let is_it = |entry: &&mut Value| entry["annotations"]["org.opencontainers.image.ref.name"] == tag;
        let entry = manifests.iter_mut().find(is_it).expect("the image");
        let mut manifest = read(&blob(&entry["digest"]));
        let mut configuration = read(&blob(&manifest["config"]["digest"]));
        change(&mut configuration["config"]);
        write(&configuration, &mut manifest["config"]);
        write(&manifest, entry);
        fs::write(root.join("index.json"), index.to_string()).expect("the index");
    }
}

fn umoci(words: &[&str]) {
    let output = Command::new("umoci").args(words).output().expect("umoci is installed");
    assert!(output.status.success(), "umoci {words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_docker_images_configuration_is_followed() {
    let rkt = Rkt::new();
    let serve = "trap 'echo asked; exit 0' USR1
        while :; do echo served | nc -l -p 8080; done & echo ready; while :; do sleep 0.2; done";
    let script = format!("{}\n{serve}\n", inside::script("docker", DOCKER_LOOKS));
    let layout = Layout::make(rkt.dir(), &script);
    let image = layout.configured("test", DOCKER);
    layout.edit("test", |configuration| {
        configuration["Healthcheck"] =
            json!({"Test": ["CMD-SHELL", "[ $(id -u) = 70 ] && stat /run.sh"], "Interval": 200_000_000});
    });
    let saved = rkt.dir().join("uuid");
    let save = format!("--uuid-file-save={}", saved.display());
    let mut pod = rkt.start(["run", &save, "--port=8080-tcp:18090", &image, "--name=web"]);
    pod.wait_for_stdout("ready");
    let mut said = String::new();
    wait::until("the port answers", LIMIT, || {
        let connected = TcpStream::connect("127.0.0.1:18090");
        connected.is_ok_and(|mut socket| socket.read_to_string(&mut said).is_ok() && !said.is_empty())
    });
    assert_eq!(said, "served\n");
    let uuid = fs::read_to_string(saved).expect("the pod's UUID");
    wait::until("the app is well", LIMIT, || {
        rkt.run(["status", &uuid]).stdout_text().contains("health-web=healthy")
    });
    rkt.run(["stop", &uuid]).expect_success();
    let finished = pod.finish().expect_success();
    assert!(finished.stdout_text().ends_with("ready\nasked\n"), "{finished:?}");
    inside::expect(
        &finished,
        "docker",
        &[
            "user: 70 71 /home/app app",
            "capabilities: 0000000000000000 00000000a80425fb",
            "environment: docker",
            "where: /srv",
            "arguments: 2 one two words",
            "volume: 755 0 1",
        ],
    );
}

#[test]
fn users_and_commands_are_found_however_the_image_puts_them() {
    let rkt = Rkt::new();
    let looks: &[Look<'_>] = &[
        ("user", "id -u; id -g; grep ^Groups /proc/self/status | cut -f 2; echo $HOME"),
        ("arguments", "echo $# $*"),
    ];
    let layout = Layout::make(rkt.dir(), &inside::script("$AC_APP_NAME", looks));
    let entry: &[&str] = &["--config.entrypoint=/bin/sh", "--config.entrypoint=/run.sh"];
    let command: &[&str] = &["--config.cmd=/bin/sh", "--config.cmd=/run.sh", "--config.cmd=a"];
    let both: &[&str] = &["--config.entrypoint=/bin/sh", "--config.cmd=/run.sh"];
    // User and arguments, and what comes of them.
    let apps: [(&str, &[&str], [&str; 4]); 6] = [
        ("unsaid", entry, ["", "", "0 0 0 /root", "0"]),
        ("names", command, ["app:wheel", "", "70 10 10 /home/app", "1 a"]),
        ("number", both, ["70", "b c", "70 71 71 /home/app", "2 b c"]),
        ("stranger", entry, ["1234", "d", "1234 1234 1234 /", "1 d"]),
        ("numbers", command, ["1234:55", "e", "1234 55 55 /", "2 a e"]),
        ("mixed", entry, ["app:55", "", "70 55 55 /home/app", "0"]),
    ];
    let mut words = vec!["run".to_owned(), "--net=none".to_owned()];
    for (name, exec, [user, arguments, ..]) in apps {
        let user = format!("--config.user={user}");
        let image = layout.configured(name, &[exec, &[&user]].concat());
        words.extend([image, format!("--name={name}"), "--".to_owned()]);
        words.extend(arguments.split_whitespace().chain(["---"]).map(str::to_owned));
    }
    let finished = rkt.run(words).expect_success();
    for (name, _, [.., user, arguments]) in apps {
        inside::expect(&finished, name, &[&format!("user: {user}"), &format!("arguments: {arguments}")]);
    }
}

#[test]
fn a_docker_images_volume_begins_with_what_the_image_has() {
    let rkt = Rkt::new();
    let oci = rkt.dir().join("oci").display().to_string();
    let rootfs = rkt.dir().join("bundle/rootfs/var/lib/data");
    let bundle = rkt.dir().join("bundle").display().to_string();
    let image = format!("{oci}:test");
    umoci(&["init", "--layout", &oci]);
    umoci(&["new", "--image", &image]);
    umoci(&["unpack", "--image", &image, &bundle]);
    fs::create_dir_all(rkt.dir().join("bundle/rootfs/bin")).expect("make directories");
    fs::copy("/bin/busybox", rkt.dir().join("bundle/rootfs/bin/busybox")).expect("copy busybox");
    for applet in ["sh", "stat", "cat"] {
        symlink("busybox", rkt.dir().join("bundle/rootfs/bin").join(applet)).expect("link");
    }
    fs::create_dir_all(rootfs.join("deep")).expect("make directories");
    fs::write(rootfs.join("deep/file"), "content\n").expect("write");
    fs::hard_link(rootfs.join("deep/file"), rootfs.join("again")).expect("link");
    fs::set_permissions(&rootfs, Permissions::from_mode(0o750)).expect("chmod");
    std::os::unix::fs::chown(&rootfs, Some(70), Some(71)).expect("chown");
    umoci(&["repack", "--image", &image, &bundle]);
    umoci(&["config", "--image", &image, "--config.volume", "/var/lib/data", "--config.volume", "/fresh"]);
    let script =
        "stat -c '%n %a %u %g' /var/lib/data /fresh; cd /var/lib/data; cat deep/file; stat -c %h again";
    let source = format!("oci:{image}");
    let words = ["run", "--net=none", &source, "--exec", "/bin/sh", "--", "-c", script];
    let text = rkt.run(words).expect_success().stdout_text();
    assert_eq!(text, "/var/lib/data 750 70 71\n/fresh 755 0 0\ncontent\n2\n");
}
