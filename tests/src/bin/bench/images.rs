//! Fetching and rendering a large image, against `skopeo copy` and `umoci unpack`; listing a thousand images.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use tests::aci::Aci;

use crate::{machines::Machines, sample::report, watched::watch};

const MIB: f64 = 1024.0;
/// The large image, and a small one of files of the same size: memory must not grow with the image.
const LARGE: Shape = Shape { name: "large", layers: 4, files: 12_500 };
const SMALL: Shape = Shape { name: "small", layers: 4, files: 800 };
/// Makes the large image 1 GiB.
const FILE_SIZE: usize = (1 << 30) / 50_000;
/// Each takes its time.
const ROUNDS: usize = 5;
const LISTED: usize = 1000;

/// What an image is made of.
struct Shape {
    name: &'static str,
    layers: usize,
    /// In each layer.
    files: usize,
}

/// A fetch and rendering.
struct Sample {
    seconds: f64,
    peak_mib: f64,
}

pub fn run(machines: &Machines, rounds: usize) -> Result<()> {
    let layout = machines.data.join("layout");
    tool("umoci", &["init", "--layout", text(&layout)])?;
    let mut medians = Vec::new();
    for shape in [SMALL, LARGE] {
        make(machines, &layout, &shape)?;
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..rounds.min(ROUNDS) {
            ours.push(fetch(machines, &layout, &shape)?);
            theirs.push(unpack(machines, &layout, &shape)?);
        }
        let size = format!("{} MiB, {} files", shape.bytes() >> 20, shape.layers * shape.files);
        let times = |samples: &[Sample]| samples.iter().map(|sample| sample.seconds).collect::<Vec<_>>();
        let peaks = |samples: &[Sample]| samples.iter().map(|sample| sample.peak_mib).collect::<Vec<_>>();
        let peer = "skopeo copy + umoci unpack";
        report(
            &format!("images: fetch and render, {size}"),
            "s",
            &mut times(&ours),
            peer,
            &mut times(&theirs),
        );
        let mut ours = peaks(&ours);
        report(&format!("images: its peak memory, {size}"), "MiB", &mut ours, peer, &mut peaks(&theirs));
        medians.push(ours[ours.len() / 2]);
    }
    println!("images: our peak memory grows by a factor of {:.2} with the image", medians[1] / medians[0]);
    list(machines, rounds)
}

impl Shape {
    fn bytes(&self) -> usize {
        self.layers * self.files * FILE_SIZE
    }
}

/// Adds an image to the layout, layer by layer.
fn make(machines: &Machines, layout: &Path, shape: &Shape) -> Result<()> {
    let image = format!("{}:{}", layout.display(), shape.name);
    tool("umoci", &["new", "--image", &image])?;
    let source = machines.data.join("source");
    let mut noise = 1;
    for layer in 0..shape.layers {
        for number in 0..shape.files {
            let directory = source.join(format!("{}", number / 100));
            fs::create_dir_all(&directory)?;
            fs::write(directory.join(format!("{number}")), content(&mut noise))?;
        }
        tool("umoci", &["insert", "--image", &image, text(&source), &format!("/layer-{layer}")])?;
        fs::remove_dir_all(&source)?;
    }
    Ok(())
}

/// Bytes that compress about as well as programs do.
fn content(noise: &mut u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(FILE_SIZE);
    while bytes.len() < FILE_SIZE {
        *noise ^= *noise << 13;
        *noise ^= *noise >> 7;
        *noise ^= *noise << 17;
        bytes.extend_from_slice(&noise.to_le_bytes());
        bytes.extend_from_slice(b"\0\0\0same");
    }
    bytes.truncate(FILE_SIZE);
    bytes
}

fn fetch(machines: &Machines, layout: &Path, shape: &Shape) -> Result<Sample> {
    let _ = fs::remove_dir_all(machines.data.join("rkt"));
    let mut command = machines.rkt();
    command.arg("fetch").arg(format!("oci:{}:{}", layout.display(), shape.name));
    let done = watch(command)?;
    Ok(Sample { seconds: done.wall.as_secs_f64(), peak_mib: done.peak_kib as f64 / MIB })
}

fn unpack(machines: &Machines, layout: &Path, shape: &Shape) -> Result<Sample> {
    let (copy, bundle) = (machines.data.join("copy"), machines.data.join("bundle"));
    for old in [&copy, &bundle] {
        let _ = fs::remove_dir_all(old);
    }
    let mut skopeo = Command::new("skopeo");
    skopeo.args(["--insecure-policy", "copy", "--quiet"]);
    skopeo.arg(format!("oci:{}:{}", layout.display(), shape.name)).arg(format!("oci:{}:it", copy.display()));
    let mut umoci = Command::new("umoci");
    umoci.args(["unpack", "--image", &format!("{}:it", copy.display())]).arg(&bundle);
    let (copied, unpacked) = (watch(skopeo)?, watch(umoci)?);
    Ok(Sample {
        seconds: (copied.wall + unpacked.wall).as_secs_f64(),
        peak_mib: copied.peak_kib.max(unpacked.peak_kib) as f64 / MIB,
    })
}

/// `rkt image list` with many images: there is no peer, 100 ms of CPU are the aim.
fn list(machines: &Machines, rounds: usize) -> Result<()> {
    let _ = fs::remove_dir_all(machines.data.join("rkt"));
    let files: Vec<PathBuf> = (0..LISTED)
        .map(|number| {
            let file = machines.data.join(format!("{number}.aci"));
            Aci::new(&format!("example.com/image-{number}"), &["/f"]).file("f", "1", 0o644).write(&file);
            file
        })
        .collect();
    let status = machines.rkt().arg("fetch").args(&files).stdout(Stdio::null()).status()?;
    ensure!(status.success(), "rkt fetch failed: {status}");
    let mut samples = Vec::new();
    for _ in 0..rounds {
        let mut command = machines.rkt();
        command.args(["image", "list"]);
        samples.push(watch(command)?.cpu.as_secs_f64() * 1e3);
    }
    let middle = crate::sample::median(&mut samples);
    println!(
        "images: `rkt image list` with {LISTED} images: {middle:.1} ms of CPU ({:.1}-{:.1}), n={}",
        samples[0],
        samples[samples.len() - 1],
        samples.len()
    );
    Ok(())
}

fn tool(program: &str, arguments: &[&str]) -> Result<()> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .with_context(|| format!("Cannot run {program}: install the Debian package of that name"))?;
    ensure!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap_or_default()
}
