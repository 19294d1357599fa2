//! Every way to say what an app is and may do, and what it then finds.

use serde_json::{Value, json};
use tests::inside::Look;

/// What the kernel says of a process: ids and groups; inheritable, effective, bounding and ambient capabilities; whether it can
/// gain rights, and whether its calls are filtered; how readily it is killed.
pub const RIGHTS: Look<'_> = (
    "rights",
    "awk '/^[UG]id:/ { print $2 } /^(Groups|Cap(Inh|Eff|Bnd|Amb)|NoNewPrivs|Seccomp):/ { $1 = \"\"; print }' \
     /proc/self/status; cat /proc/self/oom_score_adj",
);
pub const LIMITS: Look<'_> = ("limits", "cd /sys/fs/cgroup; cat memory.max cpu.max cpu.weight pids.max");

/// Masks of capabilities: the default 14, none, network and system administration, the default without CHOWN and MKNOD.
pub const DEFAULT: &str = "00000000a80425fb";
pub const NONE: &str = "0000000000000000";
const RETAINED: &str = "0000000000201000";
pub const REMOVED: &str = "00000000a00425fa";

/// An app: how it is described, and what it finds.
pub struct App {
    pub name: &'static str,
    pub user: (&'static str, &'static str),
    pub further: &'static [u32],
    /// None if there is no flag for it.
    pub flags: Option<&'static [&'static str]>,
    pub isolators: Value,
    /// Ids and groups, effective and bounding capabilities, and the rest.
    pub rights: [&'static str; 4],
    /// Another look, and its answer.
    pub look: Option<(Look<'static>, &'static str)>,
}

pub const ROOT: App = App {
    name: "plain",
    user: ("0", "0"),
    further: &[],
    flags: Some(&[]),
    isolators: Value::Null,
    rights: ["0 0 0", DEFAULT, DEFAULT, "0 2 0"],
    look: None,
};

pub fn set(name: &str, value: Value) -> Value {
    json!({"name": format!("os/linux/{name}"), "value": value})
}

fn calls(kind: &str, error: Option<&str>, names: &[&str]) -> Value {
    json!([set(&format!("seccomp-{kind}-set"), json!({"set": names, "errno": error}))])
}

/// Every way to say something of an app's rights, as root and as somebody else.
pub fn apps() -> Vec<App> {
    let retain = || {
        let one = |name: &str| set("capabilities-retain-set", json!({"set": [name]}));
        json!([one("CAP_NET_ADMIN"), one("CAP_SYS_ADMIN")])
    };
    let remove = || json!([set("capabilities-remove-set", json!({"set": ["CAP_CHOWN", "CAP_MKNOD"]}))]);
    let retain_flag: Option<&[&str]> = Some(&["--caps-retain=CAP_NET_ADMIN,CAP_SYS_ADMIN"]);
    let remove_flag: Option<&[&str]> = Some(&["--caps-remove=CAP_CHOWN,CAP_MKNOD"]);
    let all = || calls("retain", None, &["@appc.io/all"]);
    let all_flag: Option<&[&str]> = Some(&["--seccomp=mode=retain,@appc.io/all"]);
    let user = |ids, bounding| [ids, NONE, bounding, "1 2 0"];
    vec![
        ROOT,
        App {
            name: "retain",
            flags: retain_flag,
            isolators: retain(),
            rights: ["0 0 0", RETAINED, RETAINED, "0 2 0"],
            ..ROOT
        },
        App {
            name: "remove",
            flags: remove_flag,
            isolators: remove(),
            rights: ["0 0 0", REMOVED, REMOVED, "0 2 0"],
            ..ROOT
        },
        App {
            name: "named",
            user: ("nobody", "nogroup"),
            rights: user("65534 65534 65534", DEFAULT),
            ..ROOT
        },
        App {
            name: "retain-user",
            user: ("1200", "1300"),
            flags: retain_flag,
            isolators: retain(),
            rights: user("1200 1300 1300", RETAINED),
            ..ROOT
        },
        App {
            name: "remove-user",
            user: ("nobody", "0"),
            further: &[400, 500],
            flags: remove_flag,
            isolators: remove(),
            rights: user("65534 0 0 400 500", REMOVED),
            ..ROOT
        },
        App {
            name: "owner",
            user: ("/srv/owned", "/srv/owned"),
            rights: user("1234 4321 4321", DEFAULT),
            ..ROOT
        },
        App {
            name: "owners",
            user: ("0", "/srv/owned"),
            further: &[7],
            rights: ["0 4321 7 4321", DEFAULT, DEFAULT, "0 2 0"],
            ..ROOT
        },
        App {
            name: "scored",
            flags: Some(&["--oom-score-adj=-100"]),
            isolators: json!([set("oom-score-adj", json!(-100))]),
            rights: ["0 0 0", DEFAULT, DEFAULT, "0 2 -100"],
            ..ROOT
        },
        App {
            name: "open",
            flags: all_flag,
            isolators: all(),
            rights: ["0 0 0", DEFAULT, DEFAULT, "0 0 0"],
            ..ROOT
        },
        App {
            name: "open-user",
            user: ("1200", "1200"),
            flags: all_flag,
            isolators: all(),
            rights: ["1200 1200 1200", NONE, DEFAULT, "0 0 0"],
            ..ROOT
        },
        App {
            name: "killed",
            flags: Some(&["--seccomp=mode=remove,mkdir,mkdirat"]),
            isolators: calls("remove", None, &["mkdir", "mkdirat"]),
            look: Some((("look", "mkdir /tmp/x; echo $?"), "Bad system call 159")),
            ..ROOT
        },
        App {
            name: "refused",
            user: ("nobody", "nogroup"),
            flags: Some(&["--seccomp=mode=remove,errno=EXDEV,mkdir,mkdirat,@nobody/knows"]),
            isolators: calls("remove", Some("EXDEV"), &["mkdir", "mkdirat", "@nobody/knows"]),
            rights: user("65534 65534 65534", DEFAULT),
            look: Some((
                ("look", "mkdir /tmp/x; touch /tmp/y && echo ok"),
                "mkdir: can't create directory '/tmp/x': Invalid cross-device link ok",
            )),
            ..ROOT
        },
        App {
            name: "grouped",
            flags: Some(&["--seccomp=mode=remove,errno=EXDEV,@systemd/mount"]),
            isolators: calls("remove", Some("EXDEV"), &["@systemd/mount"]),
            look: Some((
                ("look", "chroot / /bin/true; mkdir /tmp/x && echo ok"),
                "chroot: can't change root directory to '/': Invalid cross-device link ok",
            )),
            ..ROOT
        },
        App {
            name: "listed",
            flags: Some(&["--seccomp=mode=retain,errno=ENOSYS,@docker/default-whitelist"]),
            isolators: calls("retain", Some("ENOSYS"), &["@docker/default-whitelist"]),
            look: Some((
                ("look", "mkdir /tmp/x && unshare -m true"),
                "unshare: unshare(0x20000): Function not implemented",
            )),
            ..ROOT
        },
        App {
            name: "bound",
            flags: None,
            isolators: json!([set("no-new-privileges", json!(true))]),
            rights: ["0 0 0", DEFAULT, DEFAULT, "1 2 0"],
            ..ROOT
        },
        App {
            name: "ignored",
            flags: None,
            isolators: json!([
                set("selinux-context", json!({"user": "u", "role": "r", "type": "t", "level": "s0"})),
                set("apparmor-profile", json!({"profile": "p"})),
                {"name": "resource/network-bandwidth", "value": {"default": true, "limit": "1M"}},
                {"name": "resource/memory", "value": {"request": "16M"}},
                {"name": "example.com/future", "value": [1]},
            ]),
            look: Some((LIMITS, "max max 100000 100 max")),
            ..ROOT
        },
        App {
            name: "small",
            flags: Some(&["--memory=96Mi", "--cpu=250m", "--cpu-shares=512", "--pids=77"]),
            isolators: limits("96Mi", "250m", 512, 77),
            look: Some((LIMITS, "100663296 25000 100000 50 77")),
            ..ROOT
        },
        App {
            name: "large",
            flags: Some(&["--memory=128M", "--cpu=750m", "--cpu-shares=2048", "--pids=88"]),
            isolators: limits("128M", "750m", 2048, 88),
            look: Some((LIMITS, "128000000 75000 100000 200 88")),
            ..ROOT
        },
    ]
}

pub fn limits(memory: &str, cpu: &str, shares: u64, pids: u64) -> Value {
    json!([
        {"name": "resource/memory", "value": {"limit": memory}},
        {"name": "resource/cpu", "value": {"limit": cpu}},
        {"name": "resource/pids", "value": {"limit": pids}},
        set("cpu-shares", json!(shares)),
    ])
}
