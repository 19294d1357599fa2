//! What tools for containers need in a pod: overlays, namespaces of users, FUSE, packet filters, mounts. Each with the
//! right to it, and refused without.

use std::path::PathBuf;

use serde_json::json;
use tests::{Aci, Rkt, host, inside, inside::Look, network::sh, software};

/// What is possible with CAP_SYS_ADMIN and CAP_NET_ADMIN.
const ADMINISTRATOR: &[Look<'_>] = &[
    // What is under the upper directory is an overlay already.
    (
        "overlay on the root file system",
        "mkdir /root/o; cd /root/o; mkdir -p l/d u w m; echo low >l/a; echo gone >l/b; echo old >l/d/old;
         mount -t overlay -o lowerdir=l,upperdir=u,workdir=w o m;
         echo up >m/c; rm m/b; mv m/a m/d/a; rm -r m/d/old; cat m/d/a m/c; ls m m/d; stat -c '%F %t:%T' u/a u/b u/d/old; umount m; cd /",
    ),
    (
        "it is still there",
        "cd /root/o; mount -t overlay -o lowerdir=l,upperdir=u,workdir=w o m; ls m m/d; rm -r m/d; mkdir m/d; ls -A m/d; umount m;
         mount -t overlay -o lowerdir=l,upperdir=u,workdir=w o m; ls -A m/d; umount m; ls -A w/work; cd /",
    ),
    (
        "overlay with its upper on a volume",
        "cd /var/lib/volume; mkdir u w m; mount -t overlay -o lowerdir=/root/o/l,upperdir=u,workdir=w o m;
         echo up >m/c; rm m/b; mv m/a m/d; cat m/d/a m/c; ls m; stat -c %F u/b; umount m; cd /",
    ),
    (
        "overlay of an overlay",
        "mount -t tmpfs t /mnt; cd /mnt; mkdir u w m; mount -t overlay -o lowerdir=/var/lib/volume/u:/root/o/u:/root/o/l,upperdir=u,workdir=w o m;
         ls m; touch m/x; ls u; umount m; cd /; umount /mnt",
    ),
    ("tmpfs with a size", "mount -t tmpfs -o size=64k t /mnt; head -c 1m /dev/zero >/mnt/x 2>/dev/null; stat -c %s /mnt/x; umount /mnt"),
    ("bind mount, read-only", "mount -o bind /etc /mnt; mount -o remount,bind,ro /mnt; touch /mnt/x; umount /mnt"),
    (
        "FUSE",
        "exec 3<>/dev/fuse; mount -i -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0 f /mnt; grep -c ' /mnt fuse ' /proc/mounts; umount -l /mnt",
    ),
    (
        "namespaces",
        "unshare -m -u -i -n -p -f sh -c 'hostname inner; mount -t proc proc /proc; echo $$; hostname; ls /sys/class/net; set -- /proc/[0-9]*; echo $#'",
    ),
    ("root of another", "mkdir -p /root/r/bin; cp /bin/busybox /root/r/bin; mount -o bind /root/r /root/r; cd /root/r; mkdir old;
        unshare -m sh -c 'pivot_root . old && exec /bin/busybox ls /'; cd /; umount /root/r"),
    ("iptables", "iptables-nft -t nat -A POSTROUTING -o eth0 -j MASQUERADE && iptables-nft -A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT && iptables-nft -t nat -S POSTROUTING"),
    ("bridge and veth", "ip link add br0 type bridge && ip link add v0 type veth peer name v1 && ip link set v0 master br0 && ls /sys/class/net | tr '\\n' ' '"),
];

/// What a user without privileges may do where system calls are not filtered.
const USER: &[Look<'_>] = &[
    ("user namespace", "unshare -U -r sh -c 'id -u; cat /proc/self/uid_map'"),
    ("nested", "unshare -U -r unshare -U -r id -u"),
    ("mounts in it", "unshare -U -r -m sh -c 'mount -t tmpfs t /mnt && touch /mnt/x && ls /mnt'"),
    (
        "overlay in it, on the root file system",
        "cd /tmp; mkdir o; cd o; unshare -U -r -m sh -c 'mkdir l u w m; echo x >l/f; mount -t overlay -o lowerdir=l,upperdir=u,workdir=w,userxattr o m && rm m/f && ls -A m u && stat -c %t:%T u/f'",
    ),
    (
        "overlay in it",
        "unshare -U -r -m sh -c 'mount -t tmpfs t /mnt; cd /mnt; mkdir l u w m; echo x >l/f; mount -t overlay -o lowerdir=l,upperdir=u,workdir=w,userxattr o m && rm m/f && ls -A m u'",
    ),
    ("network in it", "unshare -U -r -n sh -c 'ip link set lo up && ip addr show lo | grep -c 127.0.0.1'"),
    ("process namespace", "unshare -U -r -p -f sh -c 'echo $$'"),
];

/// What the default rights refuse.
const PLAIN: &[Look<'_>] = &[
    ("mount", "mount -t tmpfs t /mnt"),
    ("namespace", "unshare -m true"),
    ("user namespace", "unshare -U -r true"),
    ("iptables", "iptables-nft -A FORWARD -j ACCEPT 2>&1 | sed 's/.*: //'"),
];

fn image() -> PathBuf {
    let image = Aci::with_busybox("example.com/tools", &["/bin/sh"]);
    let image = [
        "lib",
        "lib64",
        "lib/x86_64-linux-gnu",
        "usr/sbin",
        "usr/lib",
        "usr/lib/x86_64-linux-gnu",
        "mnt",
        "var/lib",
    ]
    .iter()
    .fold(image, |image, directory| image.directory(directory, 0o755));
    let image = software::with(image, "/usr/sbin/iptables-nft");
    let modules = sh(
        "find /usr/lib/x86_64-linux-gnu/xtables -name libxt_MASQUERADE.so -o -name libxt_NAT.so -o -name libxt_conntrack.so -o -name libxt_standard.so",
    );
    let image = image.directory("usr/lib/x86_64-linux-gnu/xtables", 0o755);
    let image = modules.lines().fold(image, |image, path| software::copied(image, path.as_ref()));
    let image = image.app("mountPoints", json!([{"name": "volume", "path": "/var/lib/volume"}]));
    image.write(&host::data_dir().join("tools.aci"))
}

#[test]
fn tools_for_containers_work_with_the_right_to_them() {
    let rkt = Rkt::new();
    let image = image().display().to_string();
    let (administrator, user, plain) = (
        inside::script("administrator", ADMINISTRATOR),
        inside::script("user", USER),
        inside::script("plain", PLAIN),
    );
    let all = "--seccomp=mode=retain,@appc.io/all";
    let words = [
        &["run", "--net=none", &image, "--name=administrator"][..],
        &[
            "--caps-retain=CAP_SYS_ADMIN,CAP_NET_ADMIN,CAP_DAC_OVERRIDE,CAP_MKNOD,CAP_CHOWN,CAP_FOWNER",
            "--exec=/bin/sh",
        ],
        &["--", "-c", &administrator, "---"],
        &[
            &image,
            "--name=user",
            "--user=nobody",
            "--group=nogroup",
            all,
            "--exec=/bin/sh",
            "--",
            "-c",
            &user,
            "---",
        ],
        &[&image, "--name=plain", "--exec=/bin/sh", "--", "-c", &plain],
    ];
    let finished = rkt.run(words.concat()).expect_success();
    let expected = [
        "overlay on the root file system: low up m: c d m/d: a character special file 0:0 character special file 0:0 character special file 0:0",
        "it is still there: m: c d m/d: a",
        "overlay with its upper on a volume: low up c d character special file",
        "overlay of an overlay: c d x",
        "tmpfs with a size: 65536",
        "bind mount, read-only: touch: /mnt/x: Read-only file system",
        "FUSE: 1",
        "namespaces: 1 inner lo 1",
        "root of another: bin old",
        "iptables: -P POSTROUTING ACCEPT -A POSTROUTING -o eth0 -j MASQUERADE",
        "bridge and veth: br0 lo v0 veth0",
    ];
    inside::expect(&finished, "administrator", &expected);
    let expected = [
        "user namespace: 0 0 65534 1",
        "nested: 0",
        "mounts in it: x",
        "overlay in it, on the root file system: m: u: f 0:0",
        "overlay in it: m: u: f",
        "network in it: 1",
        "process namespace: 1",
    ];
    inside::expect(&finished, "user", &expected);
    let expected = [
        "mount: mount: permission denied (are you root?)",
        "namespace: unshare: unshare(0x20000): Operation not permitted",
        "user namespace: unshare: unshare(0x10000000): Operation not permitted",
        "iptables: Permission denied (you must be root)",
    ];
    inside::expect(&finished, "plain", &expected);
}
