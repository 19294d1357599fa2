//! Compiles the lists of `resources/seccomp` into filters: `common.json` is part of each, and the starter's, under which
//! the others are installed, is all of them together.

use std::{env, error::Error, fmt::Write as _, fs, path::Path};

use seccompiler::{TargetArch, compile_from_json};
use serde_json::{Value, json};

const LISTS: &str = "../resources/seccomp";
const COMMON: &str = "common";
const STARTER: &str = "starter";
const KINDS: [&str; 7] = ["event_loop", "vcpu", "file_server", "watcher", "packets", "stream", "diagnostics"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={LISTS}");
    println!("cargo::rerun-if-changed=build.rs");
    let common = rules(COMMON)?;
    let mut starter = [common.clone(), rules(STARTER)?].concat();
    let mut text = String::new();
    for kind in KINDS {
        let own = rules(kind)?;
        write_filter(&mut text, kind, [common.clone(), own.clone()].concat())?;
        starter.extend(own);
    }
    write_filter(&mut text, STARTER, starter)?;
    fs::write(Path::new(&env::var("OUT_DIR")?).join("filters.rs"), text)?;
    Ok(())
}

/// The rules of a list, in seccompiler's JSON.
fn rules(list: &str) -> Result<Vec<Value>, Box<dyn Error>> {
    let path = format!("{LISTS}/{list}.json");
    let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    Ok(serde_json::from_str(&text).map_err(|error| format!("{path}: {error}"))?)
}

fn write_filter(text: &mut String, name: &str, rules: Vec<Value>) -> Result<(), Box<dyn Error>> {
    // A rule without conditions allows the call whatever other rules say.
    let always: Vec<&Value> =
        rules.iter().filter(|rule| rule.get("args").is_none()).map(|rule| &rule["syscall"]).collect();
    let needed = |rule: &&Value| rule.get("args").is_none() || !always.contains(&&rule["syscall"]);
    let mut rules: Vec<&Value> = rules.iter().filter(needed).collect();
    let mut seen = Vec::new();
    rules.retain(|rule| {
        let new = !seen.contains(rule);
        seen.push(rule);
        new
    });
    let filter = json!({ name: { "mismatch_action": "trap", "match_action": "allow", "filter": rules } });
    let compiled = compile_from_json(filter.to_string().as_bytes(), TargetArch::x86_64)?;
    let program = compiled.get(name).ok_or("No filter was made")?;
    writeln!(text, "static {}: &[sock_filter] = &[", name.to_uppercase())?;
    for instruction in program {
        let (code, jt, jf, k) = (instruction.code, instruction.jt, instruction.jf, instruction.k);
        writeln!(text, "    sock_filter {{ code: {code}, jt: {jt}, jf: {jf}, k: {k} }},")?;
    }
    writeln!(text, "];")?;
    Ok(())
}
