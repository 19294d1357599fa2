//! Many pods at once, looked at all the time while they come, run and go, and `rkt gc` runs on and on: every list shows what is so.
//! `RKT_ENDURANCE=10` is the whole test: 200 prepared pods, and 20 that run at once.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::remains::Remains;
use tests::{Rkt, Running, aci, endurance, wait};

/// Nothing takes this long, however many pods there are: what does waits for something that never comes.
const LIMIT: Duration = Duration::from_secs(300);
const NAME: &str = "example.com/busybox:1.0.0";
const GC: [&str; 2] = ["gc", "--grace-period=0s"];
/// How long everybody pauses between two looks: the pods need some of the CPU, too.
const PAUSE: Duration = Duration::from_millis(300);

/// The life of a pod; what is shown never goes back in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Preparing,
    Prepared,
    Running,
    Exited,
    Marked,
    Deleting,
    Gone,
}

impl Stage {
    fn of(state: &str) -> Self {
        match state {
            "embryo" | "preparing" => Self::Preparing,
            "prepared" => Self::Prepared,
            "running" => Self::Running,
            "exited" => Self::Exited,
            "exited garbage" => Self::Marked,
            "exited deleting" => Self::Deleting,
            wrong => panic!("no pod here is ever \"{wrong}\""),
        }
    }
}

/// What those who change a pod know of it: it has come to the first of these, and it has not left the second.
#[derive(Debug, Clone, Copy)]
struct Bounds(Stage, Stage);

#[derive(Debug, Default)]
struct Crowd {
    known: Mutex<HashMap<String, Bounds>>,
    over: AtomicBool,
    lists: AtomicUsize,
    collections: AtomicUsize,
}

/// Ends the looking, also when something has failed.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What `rkt list` shows.
#[track_caller]
fn listed(rkt: &Rkt) -> HashMap<String, Stage> {
    let list = rkt.run(["list", "--format=json"]).expect_success();
    assert_eq!(list.stderr_text(), "");
    let pods: Option<Vec<Value>> = serde_json::from_slice(&list.stdout).expect("JSON");
    let pods = pods.unwrap_or_default();
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let found: HashMap<_, _> =
        pods.iter().map(|pod| (text(&pod["name"]), Stage::of(&text(&pod["state"])))).collect();
    assert_eq!(found.len(), pods.len(), "a pod is listed twice");
    found
}

impl Crowd {
    fn note(&self, uuid: &str, bounds: Bounds) {
        self.known.lock().expect("the pods").insert(uuid.to_owned(), bounds);
    }

    fn known(&self) -> HashMap<String, Bounds> {
        self.known.lock().expect("the pods").clone()
    }

    /// Prepares a pod.
    fn prepare(&self, rkt: &Rkt) -> String {
        let script = "trap 'exit 5' TERM; echo ready; while :; do sleep 1; done";
        let app = ["--memory=64M", "--cpu=1", "--exec=/bin/sh", "--", "-c", script];
        let prepared =
            rkt.run(["prepare", "--pull-policy=never", NAME].into_iter().chain(app)).expect_success();
        let uuid = prepared.stdout_text().trim().to_owned();
        self.note(&uuid, Bounds(Stage::Prepared, Stage::Prepared));
        uuid
    }

    /// Starts a prepared pod.
    fn start(&self, rkt: &Rkt, uuid: String) -> (Running, String) {
        self.note(&uuid, Bounds(Stage::Prepared, Stage::Running));
        (rkt.start(["run-prepared", "--net=none", &uuid]), uuid)
    }

    /// Waits until a pod's app runs.
    fn ready(&self, (pod, uuid): &mut (Running, String)) {
        pod.wait_for_stdout("ready");
        self.note(uuid, Bounds(Stage::Running, Stage::Running));
    }

    /// Ends a pod, each in a way of its own.
    fn end(&self, rkt: &Rkt, number: usize, (pod, uuid): (Running, String)) {
        self.note(&uuid, Bounds(Stage::Running, Stage::Gone));
        let status = match number % 4 {
            0 => {
                rkt.run(["stop", &uuid]).expect_success();
                0
            }
            1 => {
                pod.signal(15);
                5
            }
            2 => {
                pod.signal(9);
                137
            }
            _ => {
                rkt.run(["stop", "--force", &uuid]).expect_success();
                137
            }
        };
        pod.finish().expect_status(status);
        self.note(&uuid, Bounds(Stage::Exited, Stage::Gone));
    }

    /// Compares all lists until it is over.
    fn look(&self, rkt: &Rkt) {
        let mut seen: HashMap<String, Stage> = HashMap::new();
        while !self.over.load(Ordering::Relaxed) {
            let before = self.known();
            let found = listed(rkt);
            let after = self.known();
            for (uuid, stage) in &found {
                // One whose UUID nobody was told is being prepared, or has just been.
                let first = before.get(uuid).map_or(Stage::Preparing, |bounds| bounds.0);
                let final_stage = after.get(uuid).map_or(Stage::Prepared, |bounds| bounds.1);
                assert!(
                    (first..=final_stage).contains(stage),
                    "{uuid} is {stage:?}: {first:?} to {final_stage:?}"
                );
            }
            for (uuid, bounds) in &after {
                let may_be_gone = bounds.1 == Stage::Gone || !before.contains_key(uuid);
                assert!(may_be_gone || found.contains_key(uuid), "{uuid} is missing: {bounds:?}");
            }
            for (uuid, stage) in &mut seen {
                let now = found.get(uuid).copied().unwrap_or(Stage::Gone);
                assert!(now >= *stage, "{uuid} went from {stage:?} back to {now:?}");
                *stage = now;
            }
            seen.extend(found);
            self.lists.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(PAUSE);
        }
    }

    /// Asks for the status of all that are known to run, until it is over.
    fn ask(&self, rkt: &Rkt) {
        while !self.over.load(Ordering::Relaxed) {
            let run = |known: &HashMap<String, Bounds>| -> HashSet<String> {
                let running = known
                    .iter()
                    .filter(|(_, bounds)| matches!(bounds, Bounds(Stage::Running, Stage::Running)));
                running.map(|(uuid, _)| uuid.clone()).collect()
            };
            for uuid in run(&self.known()) {
                let status = rkt.run(["status", &uuid]);
                if run(&self.known()).contains(&uuid) {
                    let text = status.expect_success().stdout_text();
                    assert!(text.starts_with("state=running\n") && text.contains("\npid="), "{text}");
                }
                std::thread::sleep(PAUSE);
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Collects until it is over. What had ended before a collection is gone after it.
    fn collect(&self, rkt: &Rkt) {
        while !self.over.load(Ordering::Relaxed) {
            let ended = self.known().into_iter().filter(|(_, bounds)| bounds.0 == Stage::Exited);
            let said = rkt.run(GC).expect_success().stderr_text();
            assert!(!said.contains("problem") && !said.contains("annot"), "{said}");
            for (uuid, _) in ended {
                self.note(&uuid, Bounds(Stage::Gone, Stage::Gone));
            }
            self.collections.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(PAUSE);
        }
    }
}

/// How many pods boot at the same time: a host of one CPU, and a guest has to answer in two minutes.
const BOOTING: usize = 4;

/// Runs pods, all at the same time at last, with so many others prepared while they start and while they run. Returns when all
/// that have run are gone.
fn live(crowd: &Crowd, rkt: &Rkt, at_once: usize, others: usize) {
    let first: Vec<_> = (0..at_once).map(|_| crowd.prepare(rkt)).collect();
    std::thread::scope(|scope| {
        let prepare = |count| scope.spawn(move || (0..count).for_each(|_| drop(crowd.prepare(rkt))));
        let early = prepare(others / 2);
        let mut pods = Vec::new();
        for (number, uuid) in first.into_iter().enumerate() {
            pods.push(crowd.start(rkt, uuid));
            if let Some(number) = (number + 1).checked_sub(BOOTING) {
                crowd.ready(&mut pods[number]);
            }
        }
        pods.iter_mut().for_each(|pod| crowd.ready(pod));
        let late = prepare(others - others / 2);
        early.join().and_then(|()| late.join()).expect("prepared pods");
        let (lists, collections) = (&crowd.lists, &crowd.collections);
        let counts = || (lists.load(Ordering::Relaxed), collections.load(Ordering::Relaxed));
        let now = counts();
        wait::until("two lists and two collections", LIMIT, || {
            counts().0 > now.0 + 1 && counts().1 > now.1 + 1
        });
        pods.into_iter().enumerate().for_each(|(number, pod)| crowd.end(rkt, number, pod));
    });
    let all_gone = || crowd.known().values().filter(|bounds| bounds.0 == Stage::Gone).count() == at_once;
    wait::until("the end of all that ran", LIMIT, all_gone);
    let lists = crowd.lists.load(Ordering::Relaxed);
    // One more, of what is left.
    wait::until("a list", LIMIT, || crowd.lists.load(Ordering::Relaxed) > lists + 1);
}

#[test]
fn every_list_is_right_while_pods_come_run_and_go() {
    let (prepared, at_once) = if endurance() >= 10 { (200, 20) } else { (30, 3) };
    let rkt = Rkt::new().limit(LIMIT);
    rkt.run(["fetch", &aci::busybox().display().to_string()]).expect_success();
    // What the first pod makes for all.
    let crowd = Crowd::default();
    crowd.prepare(&rkt);
    let (before, started) = (Remains::look(), Instant::now());
    std::thread::scope(|scope| {
        let _over = Over(&crowd.over);
        for watch in [Crowd::look, Crowd::ask, Crowd::collect] {
            let (crowd, rkt) = (&crowd, &rkt);
            scope.spawn(move || watch(crowd, rkt));
        }
        live(&crowd, &rkt, at_once, prepared - at_once - 1);
    });
    println!(
        "{prepared} prepared, {at_once} at once: {:?}, {:?} lists, {:?} collections",
        started.elapsed(),
        crowd.lists,
        crowd.collections
    );
    let left = listed(&rkt);
    assert!(
        left.len() == prepared - at_once && left.values().all(|stage| *stage == Stage::Prepared),
        "{left:?}"
    );
    rkt.run(GC.into_iter().chain(["--expire-prepared=0s"])).expect_success();
    assert_eq!(listed(&rkt), HashMap::new());
    assert_eq!(Remains::look(), before);
}
