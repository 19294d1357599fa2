//! Users who are not root: members of the group `rkt` may look; everybody else is told what it needs.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::bed::{Bed, finish};

/// Makes pods and an image with a group `rkt` that is there for this shell alone; then says of each line of `commands`
/// how it ends for a member of that group and for anybody else. Arguments: the group's file, then rkt.
const SESSION: &str = r#"
    mount --bind "$1" /etc/group
    shift
    rkt() { "${rkt[@]}" "$@"; }
    rkt=("$@")
    uuid=$(rkt --insecure-options=image prepare --quiet --stage1-path=stage1.aci a.aci) || exit 1
    rkt --insecure-options=image run --stage1-path=stage1.aci a.aci || exit 1
    chmod 755 .
    while read -r words; do
        for who in member other; do
            groups=(--clear-groups)
            [ $who = other ] || groups=(--groups 4711)
            said=$(setpriv --reuid 65534 --regid 65534 "${groups[@]}" "$@" ${words/UUID/$uuid} 2>&1 </dev/null)
            status=$?
            while read -r line; do printf '%s|%s|%s|%s\n' "$who" "$words" $status "$line"; done <<<"${said//$uuid/UUID}"
        done
    done
"#;

/// Status and lines of a command, by who gave it.
type Answers = BTreeMap<(String, String), (i32, Vec<String>)>;

fn answers(bed: &Bed, commands: &[&str]) -> Answers {
    let group = bed.write("group", "root:x:0:\nnogroup:x:65534:\nrkt:x:4711:\n");
    bed.write("commands", &(commands.join("\n") + "\n"));
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "bash", "-c", SESSION, "bash", &group]);
    let rkt = bed.command(&[]);
    command.arg(rkt.get_program()).args(rkt.get_args()).current_dir(bed.path("."));
    command.env("FAKE_LOG", bed.path("log")).stdin(std::fs::File::open(bed.path("commands")).unwrap());
    let done = finish(&mut command);
    assert_eq!(done.status, 0, "{}{}", done.stdout, done.stderr);
    let mut answers = Answers::new();
    for line in done.stdout.lines() {
        let [who, words, status, text] = line.splitn(4, '|').collect::<Vec<_>>()[..] else { continue };
        let answer = answers.entry((who.to_owned(), words.to_owned())).or_default();
        answer.0 = status.parse().unwrap();
        answer.1.push(text.to_owned());
    }
    answers
}

#[test]
fn members_of_the_group_may_look_and_others_are_told() {
    let bed = Bed::new();
    std::fs::set_permissions(bed.path("."), std::fs::Permissions::from_mode(0o755)).unwrap();
    let looks = ["list --no-legend", "status UUID", "image list --no-legend", "cat-manifest UUID"];
    let rooted = ["stop UUID", "enter UUID", "export UUID out.aci", "image gc", "attach UUID", "run a.aci"];
    let answers = answers(&bed, &[&looks[..], &rooted[..]].concat());
    let of = |who: &str, words: &str| answers[&(who.to_owned(), words.to_owned())].clone();
    let (status, lines) = of("member", "list --no-legend");
    assert_eq!((status, lines.len()), (0, 2));
    assert!(
        lines.iter().any(|line| line.contains("prepared"))
            && lines.iter().any(|line| line.contains("exited"))
    );
    assert!(of("member", "status UUID").1[0] == "state=prepared");
    assert!(of("member", "image list --no-legend").1.iter().any(|line| line.contains("example.com/a:1")));
    for words in looks {
        assert_eq!(of("member", words).0, 0, "{words}");
        let (status, lines) = of("other", words);
        assert_eq!((status, lines.len()), (254, 1), "{words}: {lines:?}");
        assert!(lines[0].contains("group \"rkt\""), "{words}: {lines:?}");
    }
    for words in rooted {
        for who in ["member", "other"] {
            let (status, lines) = of(who, words);
            assert_eq!((status, lines.len()), (254, 1), "{who} {words}: {lines:?}");
            assert!(lines[0].ends_with("cannot run as unprivileged user"), "{who} {words}: {lines:?}");
        }
    }
}
