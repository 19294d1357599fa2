//! What an app is and may do: each way to say it, as a flag, in the pod manifest and in the image's own, looked at from inside.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tests::{Aci, Finished, Rkt, inside, inside::Look};

#[path = "rights/table.rs"]
mod table;

use table::{App, LIMITS, NONE, REMOVED, RIGHTS, ROOT, apps, limits, set};

impl App {
    fn looks(&self) -> Vec<Look<'static>> {
        [RIGHTS].into_iter().chain(self.look.map(|(look, _)| look)).collect()
    }

    #[track_caller]
    fn expect(&self, finished: &Finished) {
        let [ids, effective, bounding, rest] = self.rights;
        let mut expected = vec![format!("rights: {ids} {NONE} {effective} {bounding} {NONE} {rest}")];
        expected.extend(self.look.map(|((name, _), answer)| format!("{name}: {answer}")));
        inside::expect(finished, self.name, &expected.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

/// Busybox with a file that is somebody's.
fn image(directory: &Path) -> PathBuf {
    Aci::with_busybox("example.com/rights", &["/bin/sh"])
        .directory("srv", 0o755)
        .file("srv/owned", "", 0o600)
        .owned_by("srv/owned", 1234, 4321)
        .write(&directory.join("rights.aci"))
}

/// An image that says much by itself.
fn telling_image(directory: &Path) -> PathBuf {
    let Value::Array(mut isolators) = limits("96Mi", "500m", 2048, 55) else { unreachable!() };
    isolators.push(set("capabilities-retain-set", json!({"set": ["CAP_KILL"]})));
    isolators.push(set("seccomp-remove-set", json!({"set": ["mkdir", "mkdirat"], "errno": "EXDEV"})));
    isolators.push(set("no-new-privileges", json!(true)));
    isolators.push(set("oom-score-adj", json!(300)));
    Aci::with_busybox("example.com/telling", &["/bin/sh"])
        .app("user", json!("nobody"))
        .app("group", json!("nogroup"))
        .app("supplementaryGIDs", json!([7]))
        .app("isolators", json!(isolators))
        .write(&directory.join("telling.aci"))
}

#[test]
fn by_flags_and_by_images() {
    let rkt = Rkt::new();
    let (image, telling) = (image(rkt.dir()), telling_image(rkt.dir()));
    let mut words = vec!["run".to_owned(), "--net=none".to_owned()];
    let mut add = |image: &Path, name: &str, flags: &[String], looks: &[Look<'_>]| {
        words.extend([image.display().to_string(), format!("--name={name}")]);
        words.extend_from_slice(flags);
        words.extend(["--exec=/bin/sh", "--", "-c", &inside::script(name, looks), "---"].map(str::to_owned));
    };
    let apps: Vec<_> = apps().into_iter().filter(|app| app.flags.is_some()).collect();
    for app in &apps {
        let (user, group) = app.user;
        let mut flags = vec![format!("--user={user}"), format!("--group={group}")];
        let further: Vec<_> = app.further.iter().map(u32::to_string).collect();
        flags.extend((!further.is_empty()).then(|| format!("--supplementary-gids={}", further.join(","))));
        flags.extend(app.flags.unwrap_or_default().iter().map(|flag| (*flag).to_owned()));
        add(&image, app.name, &flags, &app.looks());
    }
    let looks = [RIGHTS, LIMITS, ("mkdir", "mkdir /tmp/x && echo ok")];
    let other = "--user=0 --group=0 --supplementary-gids=9 --caps-remove=CAP_CHOWN,CAP_MKNOD --memory=64Mi --cpu=250m \
                 --cpu-shares=1024 --pids=66 --oom-score-adj=-7 --seccomp=mode=retain,@appc.io/all";
    let other: Vec<_> = other.split_whitespace().map(str::to_owned).collect();
    add(&telling, "of-image", &[], &looks);
    add(&telling, "of-flags", &other, &looks);
    let finished = rkt.run(words).expect_success();
    apps.iter().for_each(|app| app.expect(&finished));
    let kill = "0000000000000020";
    let of_image = format!("rights: 65534 65534 7 65534 {NONE} {NONE} {kill} {NONE} 1 2 300");
    let refusal = "mkdir: mkdir: can't create directory '/tmp/x': Invalid cross-device link";
    inside::expect(&finished, "of-image", &[&of_image, "limits: 100663296 50000 100000 200 55", refusal]);
    // There is no flag that lifts no_new_privs.
    let of_flags = format!("rights: 0 0 0 9 {NONE} {REMOVED} {REMOVED} {NONE} 1 0 -7");
    inside::expect(&finished, "of-flags", &[&of_flags, "limits: 67108864 25000 100000 100 66", "mkdir: ok"]);
}

#[test]
fn by_pod_manifest() {
    let rkt = Rkt::new();
    let image = image(rkt.dir());
    let id = rkt.run(["fetch", "--full", image.to_str().expect("UTF-8")]).expect_success().stdout_text();
    let describe = |app: &App, looks: &[Look<'_>]| {
        let isolators = if app.isolators.is_null() { json!([]) } else { app.isolators.clone() };
        json!({
            "name": app.name,
            "image": {"id": id.trim()},
            "readOnlyRootFS": app.name == "frozen",
            "app": {
                "exec": ["/bin/sh", "-c", inside::script(app.name, looks)],
                "user": app.user.0, "group": app.user.1, "supplementaryGIDs": app.further,
                "workingDirectory": "/var",
                "environment": [{"name": "HOME", "value": "/elsewhere"}, {"name": "OWN", "value": "a b=c"}],
                "isolators": isolators,
            },
        })
    };
    let files: &[Look<'_>] = &[
        ("write", "touch /etc/x"),
        ("tmpfs", "touch /dev/shm/x && echo ok"),
        ("where", "pwd"),
        ("environment", "env | sort | grep -v -e SHLVL -e PWD"),
    ];
    let apps = apps();
    let mut described: Vec<_> = apps.iter().map(|app| describe(app, &app.looks())).collect();
    described.push(describe(&App { name: "frozen", ..ROOT }, files));
    let manifest = json!({"acVersion": "0.8.11", "acKind": "PodManifest", "apps": described});
    let finished = run_manifest(&rkt, &manifest).expect_success();
    apps.iter().for_each(|app| app.expect(&finished));
    let environment = "environment: AC_APP_NAME=frozen HOME=/elsewhere LOGNAME=root OWN=a b=c \
                       PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin SHELL=/bin/sh USER=root";
    let refusal = "write: touch: /etc/x: Read-only file system";
    inside::expect(&finished, "frozen", &[refusal, "tmpfs: ok", "where: /var", environment]);

    // What the specification lets be written and nothing can be made of.
    let both = json!([
        set("capabilities-retain-set", json!({"set": ["CAP_KILL"]})),
        set("capabilities-remove-set", json!({"set": ["CAP_CHOWN"]})),
    ]);
    let both = describe(&App { name: "both", isolators: both, ..ROOT }, &[]);
    let manifest = json!({"acVersion": "0.8.11", "acKind": "PodManifest", "apps": [both]});
    let refused = run_manifest(&rkt, &manifest);
    let line = "cannot have both os/linux/capabilities-retain-set and os/linux/capabilities-remove-set";
    assert!(refused.status != 0 && refused.stderr_text().contains(line), "{refused:?}");
}

fn run_manifest(rkt: &Rkt, manifest: &Value) -> Finished {
    let path = rkt.dir().join("pod.json");
    std::fs::write(&path, manifest.to_string()).expect("write the manifest");
    rkt.run(["run", "--net=none", &format!("--pod-manifest={}", path.display())])
}
