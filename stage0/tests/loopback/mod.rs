//! Real servers and tools on this machine, for tests that fetch as users do.

#![allow(dead_code, reason = "each test binary uses its part")]

pub mod aci;
pub mod certificate;
pub mod layout;
pub mod nginx;
pub mod registry;
pub mod tokens;
pub mod web;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Runs a tool and returns its standard output; fails naming the Debian package it belongs to.
pub fn tool(program: &str, package: &str, args: &[&str]) -> String {
    let output = match Command::new(program).args(args).output() {
        Ok(output) => output,
        Err(error) => panic!("Cannot run {program}: {error}: install the Debian package {package}"),
    };
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A port nobody listens on.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// rkt with a data directory of its own.
pub struct Rkt {
    pub dir: tempfile::TempDir,
    options: String,
}

/// What a command of rkt's did.
#[derive(Debug)]
pub struct Done {
    pub status: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Done {
    pub fn of(output: Output) -> Self {
        Done {
            status: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The output of a command that must have succeeded.
    pub fn ok(self) -> String {
        assert_eq!(self.status, Some(0), "{self:?}");
        self.out
    }

    /// The messages of a command that must have failed as rkt's commands fail.
    pub fn failed(self) -> String {
        assert_eq!(self.status, Some(254), "{self:?}");
        self.err
    }
}

impl Rkt {
    /// A fresh one that checks no signatures and speaks plain http.
    pub fn new() -> Self {
        Self::with_options("image,http")
    }

    pub fn with_options(options: &str) -> Self {
        Rkt { dir: tempfile::tempdir().unwrap(), options: options.to_owned() }
    }

    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub fn config(&self) -> PathBuf {
        self.dir.path().join("config")
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rkt"));
        let config = self.config();
        command
            .arg(format!("--dir={}", self.data().display()))
            .arg(format!("--insecure-options={}", self.options))
            .arg(format!("--system-config={}", self.dir.path().join("system").display()))
            .arg(format!("--local-config={}", config.display()))
            .args(args)
            .env("HOME", self.dir.path())
            .env_remove("DOCKER_CONFIG");
        command
    }

    pub fn run(&self, args: &[&str]) -> Done {
        Done::of(self.command(args).output().unwrap())
    }

    /// The same command with a terminal for its input, output and errors, all of which `script` shows as output.
    pub fn on_terminal(&self, command: &Command) -> Command {
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let words: Vec<_> = words.map(|word| format!("'{}'", word.to_str().unwrap())).collect();
        let mut script = Command::new("script");
        script.args(["-qec", &words.join(" "), "/dev/null"]).env("TERM", "xterm").stdin(Stdio::null());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => script.env(name, value),
                None => script.env_remove(name),
            };
        }
        script
    }

    /// Runs a command on a terminal and types the answer when the question is there.
    pub fn answer(&self, command: &Command, question: &str, answer: &str) -> Done {
        let mut child =
            self.on_terminal(command).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = child.stdout.take().unwrap();
        let mut shown = Vec::new();
        while !String::from_utf8_lossy(&shown).contains(question) {
            let mut byte = [0];
            let read = output.read(&mut byte).unwrap();
            assert_eq!(read, 1, "nothing was asked: {}", String::from_utf8_lossy(&shown));
            shown.extend(byte);
        }
        child.stdin.as_mut().unwrap().write_all(answer.as_bytes()).unwrap();
        output.read_to_end(&mut shown).unwrap();
        Done {
            status: child.wait().unwrap().code(),
            out: String::from_utf8(shown).unwrap(),
            err: String::new(),
        }
    }

    /// What has come of an image whose download has not ended.
    pub fn partial(&self) -> Option<PathBuf> {
        let entries = std::fs::read_dir(self.data().join("cas/tmp")).ok()?;
        let mut paths = entries.map(|entry| entry.unwrap().path());
        paths.find(|path| path.to_string_lossy().contains("/aci-") && path.extension().is_none())
    }

    /// Fetches an image and returns its whole key.
    pub fn fetch(&self, image: &str) -> String {
        self.run(&["fetch", "--full", image]).ok().trim().to_owned()
    }

    /// The merged files of an image, as `path` or `path=content`.
    pub fn show(&self, image: &str) -> Vec<String> {
        let to = self.dir.path().join("rendered");
        self.run(&["image", "render", "--overwrite", "--rootfs-only", image, to.to_str().unwrap()]).ok();
        let mut out = Vec::new();
        list(&to, &to, &mut out);
        out.sort();
        out
    }

    /// Names of files below a directory of the store, without locks and the index.
    pub fn stored(&self) -> Vec<PathBuf> {
        let mut out = Vec::new();
        let cas = self.data().join("cas");
        // By whole prefix: a blob whose digest begins with "db" is in a directory of that name, too.
        let other = ["db", "imagelocks", "treestorelocks"].map(|dir| cas.join(dir));
        walk(&cas, &mut |path| {
            if path.is_file() && !other.iter().any(|dir| path.starts_with(dir)) {
                out.push(path.to_path_buf());
            }
        });
        out
    }
}

fn walk(dir: &Path, visit: &mut impl FnMut(&Path)) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        visit(&entry.path());
        if entry.file_type().unwrap().is_dir() {
            walk(&entry.path(), visit);
        }
    }
}

fn list(root: &Path, dir: &Path, out: &mut Vec<String>) {
    walk(dir, &mut |path| {
        let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
        // The links every converted image gets are tested apart.
        if !name.starts_with("dev") {
            let content = std::fs::read_to_string(path).ok().filter(|_| path.is_file());
            out.push(content.map(|c| format!("{name}={c}")).unwrap_or(name));
        }
    });
}
