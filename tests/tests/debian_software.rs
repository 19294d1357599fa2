//! Servers and compilers as Debian built them, in a Debian from a registry, unchanged.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tests::network::sh;
use tests::{Rkt, Running, debian, host, wait};

const LIMIT: Duration = Duration::from_secs(900);
const ADDRESS: &str = "172.16.28.44";
const TRACED: &str = "/sys/kernel/tracing/events/ext4/ext4_sync_file_enter";

#[test]
fn servers_and_compilers_run_as_debian_built_them() {
    let rkt = Rkt::new().limit(LIMIT);
    let image = debian::fetch(&rkt, "software");
    postgresql_recovers_what_was_committed(&rkt, &image);
    redis_nginx_and_sshd_share_a_pod(&rkt, &image);
    packages_are_installed_and_programs_built(&rkt, &image);
}

/// A pod of the image, whose app `words` describe.
fn start(rkt: &Rkt, flags: &[&str], image: &str, words: &[&str]) -> Running {
    let run = ["run", "--pull-policy=never"].iter().chain(flags).chain([&image]);
    rkt.start(run.chain(words))
}

const INITDB: &str = "set -e
install -d -o postgres -m 700 /data/db
exec setpriv --reuid=postgres --regid=postgres --init-groups /bin/bash -ec '
cd /data/db
export PATH=/usr/lib/postgresql/15/bin:$PATH PGHOST=/tmp
initdb -D /data/db -A trust --no-locale -E UTF8 >/dev/null
pg_ctl -D /data/db -l /data/db/log -o \"-k /tmp -c listen_addresses=\" -w -t 300 start >/dev/null
pgbench -i -q -s 1 postgres 2>/dev/null
pgbench -n -c 4 -t 25 postgres 2>/dev/null | grep processed
psql -Atc \"create table kept as select generate_series(1, 1000) as n\" postgres
psql -Atc \"begin; insert into kept select 0; select pg_sleep(600)\" postgres >/dev/null 2>&1 &
until [ \"$(psql -Atc \"select count(*) from pg_stat_activity where wait_event = '\\''PgSleep'\\''\" postgres)\" = 1 ]; do :; done
echo ready
sleep 600'";

const RECOVER: &str = "exec setpriv --reuid=postgres --regid=postgres --init-groups /bin/bash -ec '
cd /data/db
export PATH=/usr/lib/postgresql/15/bin:$PATH PGHOST=/tmp
pg_ctl -D /data/db -l /data/db/log -o \"-k /tmp -c listen_addresses=\" -w -t 300 start >/dev/null
grep -c \"automatic recovery in progress\" /data/db/log
psql -Atc \"select count(*), sum(n) from kept\" postgres
psql -Atc \"select count(*) = 100 and sum(delta) = (select sum(abalance) from pgbench_accounts) from pgbench_history\" postgres
pg_ctl -D /data/db -m fast -w stop >/dev/null
pg_controldata /data/db | grep state'";

/// The whole pod is killed in a transaction. What was committed is there in the next pod on the same volume, the rest is not; a commit
/// reaches the host's disk.
fn postgresql_recovers_what_was_committed(rkt: &Rkt, image: &str) {
    let data = tempfile::tempdir_in(host::data_dir()).expect("a directory");
    let volume = format!("--volume=data,kind=host,source={}", data.path().display());
    let saved = rkt.dir().join("postgresql");
    let save = format!("--uuid-file-save={}", saved.display());
    let flags = ["--net=none", &volume, "--mount=volume=data,target=/data"];
    let words = |script| ["--memory=512M", "--exec=/bin/bash", "--", "-c", script];
    let mut pod = start(rkt, &[&flags[..], &[&save]].concat(), image, &words(INITDB));
    pod.wait_for_stdout("ready");
    let said = String::from_utf8(pod.stdout_so_far()).expect("text");
    assert_eq!(said, "number of transactions actually processed: 100/100\nSELECT 1000\nready\n");
    let uuid = fs::read_to_string(saved).expect("the pod's UUID");
    let syncs = syncs_of(|| {
        let insert = "insert into kept values (1001)";
        let psql = "/usr/lib/postgresql/15/bin/psql";
        let said = rkt.run(["enter", &uuid, psql, "-h", "/tmp", "-U", "postgres", "-Atc", insert]);
        assert_eq!(said.expect_success().stdout_text(), "INSERT 0 1\n");
    });
    assert_ne!(syncs, Some(0), "A commit was not synced to the host's disk");
    pod.signal(9);
    pod.finish();
    rkt.run(["gc", "--grace-period=0s"]).expect_success();
    let recovered = start(rkt, &flags, image, &words(RECOVER)).finish().expect_success();
    let expected = "1\n1001|501501\nt\nDatabase cluster state:               shut down\n";
    assert_eq!(recovered.stdout_text(), expected, "{}", recovered.stderr_text());
}

/// How many files of ext4 the host synced meanwhile, where its kernel can tell.
fn syncs_of(action: impl FnOnce()) -> Option<usize> {
    if !Path::new(TRACED).exists() {
        action();
        return None;
    }
    sh(&format!("echo >/sys/kernel/tracing/trace; echo 1 >{TRACED}/enable"));
    action();
    let traced = sh(&format!("echo 0 >{TRACED}/enable; cat /sys/kernel/tracing/trace"));
    Some(traced.lines().filter(|line| line.contains("ext4_sync_file_enter")).count())
}

const NGINX: &str = "pid /tmp/nginx.pid;
error_log stderr;
events { }
http {
    access_log off;
    client_body_temp_path /tmp/body; proxy_temp_path /tmp/proxy; fastcgi_temp_path /tmp/fastcgi;
    uwsgi_temp_path /tmp/uwsgi; scgi_temp_path /tmp/scgi;
    server { listen 8080; root /var/www/html; index index.nginx-debian.html; }
}
";
const REDIS: &str = "for i = 1, 10000 do redis.call('set', i, i) end return redis.call('dbsize')";

/// Three apps of one pod, the first two as users of their own.
fn redis_nginx_and_sshd_share_a_pod(rkt: &Rkt, image: &str) {
    let files = tempfile::tempdir_in(host::data_dir()).expect("a directory");
    let file = |name: &str| files.path().join(name).display().to_string();
    fs::write(file("nginx.conf"), NGINX).expect("write a file");
    sh(&format!("ssh-keygen -q -t ed25519 -N '' -f {key}; chmod 600 {key}.pub", key = file("key")));
    let net = format!("--net=default:IP={ADDRESS}");
    let volumes = [("nginx", file("nginx.conf")), ("key", file("key.pub"))]
        .map(|(name, source)| format!("--volume={name},kind=host,readOnly=true,source={source}"));
    let saved = rkt.dir().join("servers");
    let save = format!("--uuid-file-save={}", saved.display());
    let redis = "--name=redis --user=redis --group=redis --memory=128M --exec=/usr/bin/redis-server -- \
                 --protected-mode no --dir /var/lib/redis --appendonly yes ---";
    let nginx = "--name=nginx --user=www-data --group=www-data --mount=volume=nginx,target=/etc/nginx/nginx.conf \
                 --exec=/usr/sbin/nginx -- -g";
    let sshd = "--name=sshd --mount=volume=key,target=/root/.ssh/authorized_keys --exec=/bin/sh -- -c";
    let words: Vec<&str> = redis
        .split_whitespace()
        .chain([image])
        .chain(nginx.split_whitespace())
        .chain(["daemon off;", "---", image])
        .chain(sshd.split_whitespace())
        .chain(["mkdir -p /run/sshd; exec /usr/sbin/sshd -D -e"])
        .collect();
    let pod = start(rkt, &[&net, &volumes[0], &volumes[1], &save], image, &words);
    let url = format!("http://{ADDRESS}:8080/");
    wait::until("nginx answers", LIMIT, || {
        sh(&format!("busybox wget -q -O - {url} || true")).contains("Welcome to nginx!")
    });
    let uuid = fs::read_to_string(saved).expect("the pod's UUID");
    let within = |app: &str, words: &[&str]| {
        let app = format!("--app={app}");
        rkt.run(["enter", &app, &uuid].iter().chain(words)).expect_success().stdout_text()
    };
    assert_eq!(within("nginx", &["/bin/sh", "-c", "stat -c %U /proc/$(cat /tmp/nginx.pid)"]), "www-data\n");
    wait::until("redis answers", LIMIT, || {
        let ping = rkt.run(["enter", "--app=redis", &uuid, "/usr/bin/redis-cli", "ping"]);
        ping.stdout_text() == "PONG\n"
    });
    assert_eq!(within("redis", &["/usr/bin/redis-cli", "eval", REDIS, "0"]), "10000\n");
    assert_eq!(within("redis", &["/usr/bin/redis-cli", "save"]), "OK\n");
    let dump = within(
        "redis",
        &["/bin/sh", "-c", "stat -c %U /var/lib/redis/dump.rdb; redis-check-rdb /var/lib/redis/dump.rdb"],
    );
    assert!(dump.starts_with("redis\n") && dump.contains("RDB looks OK!"), "{dump}");
    let ssh = format!(
        "-i {} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o ConnectionAttempts=60",
        file("key")
    );
    assert_eq!(sh(&format!("ssh {ssh} root@{ADDRESS} 'id -un; cat' <<<hello")), "root\nhello\n");
    let terminal = sh(&format!("ssh -tt {ssh} root@{ADDRESS} 'tty; exit 7' </dev/null || echo $?"));
    assert_eq!(terminal.replace('\r', ""), "/dev/pts/0\n7\n");
    sh(&format!("head -c 3M /dev/urandom >{0}; scp -q {ssh} {0} root@{ADDRESS}:/srv/sent", file("sent")));
    sh(&format!("ssh {ssh} root@{ADDRESS} cat /srv/sent | cmp - {}", file("sent")));
    pod.signal(15);
    pod.finish();
    tests::pod::assert_nothing_left(&uuid);
}

const BUILD: &str = r#"set -e
echo "deb [trusted=yes] http://$GATEWAY:8019/ ./" >/etc/apt/sources.list
rm -rf /etc/apt/sources.list.d/*
apt-get -qq update
DEBIAN_FRONTEND=noninteractive apt-get -qq install hello >/dev/null 2>&1
hello
mkdir /tmp/extension && cd /tmp/extension
cat >answer.c <<'C'
#include <Python.h>
static PyObject *answer(PyObject *self, PyObject *none) { return PyLong_FromLong(42); }
static PyMethodDef methods[] = {{"answer", answer, METH_NOARGS, ""}, {0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "answer", "", -1, methods};
PyMODINIT_FUNC PyInit_answer(void) { return PyModule_Create(&module); }
C
cat >setup.py <<'PYTHON'
from distutils.core import setup, Extension
setup(name="answer", ext_modules=[Extension("answer", ["answer.c"])])
PYTHON
python3 -W ignore setup.py -q build_ext --inplace
python3 -c 'import answer; print(answer.answer())'
export HOME=/tmp PATH=/rust/bin:$PATH
cd /tmp
cargo -q new --vcs none greeting
cd greeting
cargo -q build --offline
./target/debug/greeting
"#;

/// apt-get from a repository on the host; a Python extension in C; a Rust program, with this machine's toolchain on a volume.
fn packages_are_installed_and_programs_built(rkt: &Rkt, image: &str) {
    let mut httpd = std::process::Command::new("busybox");
    httpd.args(["httpd", "-f", "-p", "8019", "-h", &debian::directory().join("apt").display().to_string()]);
    let _httpd = Running::start(httpd, LIMIT);
    let rust =
        format!("--volume=rust,kind=host,readOnly=true,source={}", host::path("RKT_TEST_RUST").display());
    let flags = [&rust, "--mount=volume=rust,target=/rust", "--set-env=GATEWAY=172.16.28.1"];
    let built = start(rkt, &flags, image, &["--memory=1G", "--exec=/bin/bash", "--", "-c", BUILD]).finish();
    assert_eq!(built.stdout_text(), "Hello, world!\n42\nHello, world!\n", "{}", built.stderr_text());
    built.expect_success();
}
