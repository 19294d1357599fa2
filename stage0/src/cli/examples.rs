//! Examples of every command, shown at the end of its help and of its manual page.

/// The examples of the command `name` under their heading.
pub fn shown(name: &str) -> String {
    let examples = of(name);
    if examples.is_empty() { String::new() } else { format!("Examples:\n{examples}") }
}

/// Examples of the command `name`, which is the group and the command for `image list` and such. Empty for those that
/// bring their own.
fn of(name: &str) -> &'static str {
    match name {
        "cat-manifest" => "  rkt cat-manifest 6b2c",
        "completion" => {
            "  rkt completion bash >/etc/bash_completion.d/rkt
  rkt completion fish >~/.config/fish/completions/rkt.fish"
        }
        "config" => "  rkt config --local-config=/tmp/rkt    what a configuration amounts to",
        "export" => {
            "  rkt export 6b2c web.aci               the one app's root file system, as the pod left it
  rkt export --app=db 6b2c db.aci"
        }
        "fetch" => {
            "  rkt fetch docker://nginx
  rkt fetch docker://registry.example.com/team/app@sha256:1f00…
  rkt fetch example.com/app:1.2,arch=amd64
  rkt fetch --insecure-options=image ./app.aci
  rkt fetch oci:build/layout:latest"
        }
        "gc" => {
            "  rkt gc                                pods that exited more than 30 minutes ago
  rkt gc --grace-period=0               all that exited"
        }
        "help" => {
            "  rkt help run
  rkt help image list
  rkt help --man=/usr/local/share/man/man1"
        }
        "image build" => {
            "  rkt image build --name=example.com/app --copy=out:/srv --exec=/srv/app app.aci
  rkt image build --base=docker://debian --copy=app:/usr/bin/app --oci layout"
        }
        "image cat-manifest" => "  rkt image cat-manifest example.com/app",
        "image convert" => {
            "  rkt image convert docker-archive:app.tar app.aci
  rkt image convert oci:layout:latest app.aci"
        }
        "image export" => "  rkt image export example.com/app app.aci",
        "image extract" => {
            "  rkt image extract example.com/app app/              manifest and rootfs
  rkt image extract --rootfs-only example.com/app root/"
        }
        "image gc" => "  rkt image gc --grace-period=48h",
        "image list" => {
            "  rkt image list
  rkt image list --format=json | jq -r '.[].name'
  rkt image list --fields=id,name,size --order=desc --sort=importtime"
        }
        "image render" => "  rkt image render example.com/app app/               with all it depends on",
        "image rm" => "  rkt image rm sha512-3fe1 example.com/app",
        "image validate" => "  rkt image validate app.aci manifest.json",
        "image verify" => "  rkt image verify example.com/app",
        "install" => "  rkt install                           what the packages do today",
        "list" => {
            "  rkt list
  rkt list --full --no-legend
  rkt list --format=json"
        }
        "prepare" => {
            "  rkt prepare docker://nginx            prints the pod's UUID
  rkt prepare --volume=data,kind=host,source=/srv/data docker://postgres --memory=1G"
        }
        "rm" => "  rkt rm 6b2c\n  rkt rm --uuid-file=/run/web.uuid",
        "run" => {
            "  rkt run --port=80-tcp:8080 docker://nginx
  rkt run --interactive docker://debian --exec /bin/bash
  rkt run --net=none docker://busybox --exec /bin/sh -- -c 'echo hello'
  rkt run --volume=data,kind=host,source=/srv/data docker://postgres --mount volume=data,target=/var/lib/postgresql
  rkt run docker://redis --memory=256M --cpu=1 --- docker://example.com/app -- --listen=:8000"
        }
        "run-prepared" => "  rkt run-prepared 6b2c",
        "status" => {
            "  rkt status 6b2c
  rkt status --wait-ready 6b2c
  rkt status --wait=30s --format=json 6b2c"
        }
        "stop" => "  rkt stop 6b2c\n  rkt stop --force --uuid-file=/run/web.uuid",
        "trust" => {
            "  rkt trust --prefix=example.com/app                  keys discovered there
  rkt trust --prefix=example.com ./release.asc
  rkt trust --root ./company.asc                      for every image"
        }
        "version" => "  rkt version",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::super::{COMMANDS, Entry, Verb};

    fn check(verb: &Verb) {
        let help = (verb.command)().render_long_help().to_string();
        assert!(help.starts_with(verb.about), "{}: {help}", verb.name);
        assert!(help.contains("\nExamples:\n  rkt "), "{}: {help}", verb.name);
    }

    #[test]
    fn every_command_shows_what_it_does_and_how_it_is_used() {
        for entry in COMMANDS {
            match entry {
                Entry::One(verb) => check(verb),
                Entry::Group { verbs, .. } => verbs.iter().for_each(|verb| check(verb)),
            }
        }
    }
}
