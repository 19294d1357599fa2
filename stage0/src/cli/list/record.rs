//! What `list` and `status` know about a pod, also as JSON.

use std::collections::BTreeMap;
use std::time::SystemTime;

use appc::{Hash, Mount, PodManifest, RuntimeApp, Volume, VolumeKind};
use serde::Serialize;
use uuid::Uuid;

use crate::assemble::MUTABLE;
use crate::pod::{AppCondition, AppHealth, AppStatus, NetInfo, Pod, PodError, State};

/// A pod with everything that is shown of it.
#[derive(Debug)]
pub struct Listed {
    /// The pod's name.
    pub uuid: Uuid,
    /// What it does.
    pub state: State,
    /// Its manifest; pods in preparation may have none yet.
    pub manifest: PodManifest,
    /// Its apps.
    pub apps: Vec<ListedApp>,
    /// Its networks.
    pub networks: Vec<NetInfo>,
    /// When it was made.
    pub created: Option<SystemTime>,
    /// When it was started.
    pub started: Option<SystemTime>,
}

/// An app with everything that is shown of it.
#[derive(Debug)]
pub struct ListedApp {
    /// Its part of the pod's manifest.
    pub app: RuntimeApp,
    /// Its image, `name[:version]`, if its manifest can be read.
    pub image: Option<String>,
    /// `unknown`, `created`, `running` or `exited`.
    pub state: &'static str,
    /// When it came to the pod, as far as it is known.
    pub created: Option<SystemTime>,
    /// When it was started.
    pub started: Option<SystemTime>,
    /// How it ended.
    pub status: Option<AppStatus>,
    /// When it ended, as far as it is known.
    pub finished: Option<SystemTime>,
    /// How it fares, if something is known of that.
    pub condition: Option<AppCondition>,
}

impl Listed {
    /// Reads all about a pod.
    pub fn new(pod: &Pod) -> Result<Self, PodError> {
        let state = pod.state();
        let manifest = match pod.manifest() {
            // Its manifest is written late in the preparation, and deleted early in the deletion.
            Err(PodError::Gone(_)) if !matches!(state, State::Prepared | State::Running | State::Exited) => {
                PodManifest::default()
            }
            // After a crash in the preparation it may be a part.
            Err(PodError::Manifest { .. }) if never_left_preparation(state) => PodManifest::default(),
            result => result?,
        };
        let mutable = is_mutable(&manifest);
        let apps = manifest.apps.iter().map(|app| ListedApp::new(pod, app, mutable)).collect();
        Ok(Self {
            uuid: pod.uuid(),
            state,
            apps,
            networks: if matches!(state, State::Running | State::Exited) {
                pod.networks()
            } else {
                Vec::new()
            },
            created: pod.created(),
            started: pod.started(),
            manifest,
        })
    }
}

impl ListedApp {
    fn new(pod: &Pod, app: &RuntimeApp, mutable: bool) -> Self {
        let status = pod.app_status(app.name.as_str());
        let image = pod.image_manifest(app.name.as_str()).map(|image| match image.labels.get("version") {
            Some(version) => format!("{}:{version}", image.name),
            None => image.name.to_string(),
        });
        let name = app.name.as_str();
        let (created, started) = match mutable {
            true => (pod.app_created(name), pod.app_started(name)),
            false => (pod.created(), pod.started()),
        };
        let state = match (status, pod.state()) {
            (Some(_), _) => "exited",
            (None, state) if mutable && !state.is_after_run() => match (created, started) {
                (_, Some(_)) => "running",
                (Some(_), None) => "created",
                (None, None) => "unknown",
            },
            (None, State::Embryo | State::Preparing | State::AbortedPrepare) => "unknown",
            (None, State::Prepared) => "created",
            (None, State::Running) => "running",
            (None, _) => "exited",
        };
        let finished = status.map(|status| status.finished).or_else(|| pod.marked_for_deletion());
        let condition = pod.app_condition(name);
        Self { app: app.clone(), image, state, created, started, status, finished, condition }
    }
}

impl ListedApp {
    /// How many of its processes were killed because memory had run out, if any.
    pub fn oom_kills(&self) -> Option<u64> {
        self.condition.as_ref().map(|condition| condition.oom_kills).filter(|kills| *kills > 0)
    }

    /// What its health check says, if it has one.
    pub fn health(&self) -> Option<&AppHealth> {
        self.condition.as_ref()?.health.as_ref()
    }
}

/// A pod as programs read it.
#[derive(Debug, Serialize)]
pub struct PodRecord<'a> {
    name: String,
    state: &'static str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    networks: &'a [NetInfo],
    app_names: Vec<&'a str>,
    apps: Vec<AppRecord<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<u64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    user_annotations: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    user_labels: &'a BTreeMap<String, String>,
}

/// An app as programs read it. Times are nanoseconds since 1970.
#[derive(Debug, Serialize)]
pub struct AppRecord<'a> {
    name: &'a str,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<u128>,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<u128>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_at: Option<u128>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    oom_kills: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    health: Option<&'a AppHealth>,
    image_id: &'a Hash,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mounts: Vec<MountRecord<'a>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    user_annotations: BTreeMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    user_labels: BTreeMap<&'a str, &'a str>,
}

/// A mount as programs read it.
#[derive(Debug, Serialize)]
pub struct MountRecord<'a> {
    name: &'a str,
    /// Where the app has it.
    pub container_path: &'a str,
    /// Where the host has it.
    pub host_path: &'a str,
    /// Whether the app cannot write.
    pub read_only: bool,
}

fn never_left_preparation(state: State) -> bool {
    matches!(state, State::Preparing | State::AbortedPrepare | State::Garbage | State::Deleting)
}

/// Whether the pod's apps come and go while it runs.
pub fn is_mutable(manifest: &PodManifest) -> bool {
    manifest.annotations.get(MUTABLE) == Some("true")
}

fn since_epoch(time: Option<SystemTime>) -> Option<std::time::Duration> {
    time?.duration_since(SystemTime::UNIX_EPOCH).ok()
}

/// The pods as programs read them; no pods are `null`, as the original wrote it.
pub fn records(pods: &[Listed]) -> Option<Vec<PodRecord<'_>>> {
    (!pods.is_empty()).then(|| pods.iter().map(record).collect())
}

/// A pod as programs read it.
pub fn record(pod: &Listed) -> PodRecord<'_> {
    PodRecord {
        name: pod.uuid.to_string(),
        state: pod.state.as_str(),
        networks: &pod.networks,
        app_names: pod.apps.iter().map(|app| app.app.name.as_str()).collect(),
        apps: pod.apps.iter().map(|app| app_record(pod, app)).collect(),
        created_at: since_epoch(pod.created).map(|time| time.as_secs()),
        started_at: since_epoch(pod.started).map(|time| time.as_secs()),
        user_annotations: &pod.manifest.user_annotations,
        user_labels: &pod.manifest.user_labels,
    }
}

/// An app of the pod as programs read it.
pub fn app_record<'a>(pod: &'a Listed, listed: &'a ListedApp) -> AppRecord<'a> {
    let nanos = |time| since_epoch(time).map(|time| time.as_nanos());
    let section = listed.app.app.as_ref();
    let strings =
        |map: &'a BTreeMap<String, String>| map.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    AppRecord {
        name: listed.app.name.as_str(),
        state: listed.state,
        created_at: nanos(listed.created),
        started_at: nanos(listed.started),
        finished_at: nanos(listed.finished),
        exit_code: listed.status.map(|status| status.code),
        oom_kills: listed.oom_kills(),
        health: listed.health(),
        image_id: &listed.app.image.id,
        mounts: mount_records(pod, listed),
        user_annotations: section.into_iter().flat_map(|app| strings(&app.user_annotations)).collect(),
        user_labels: section.into_iter().flat_map(|app| strings(&app.user_labels)).collect(),
    }
}

/// The mounts of an app that the manifest lists.
pub fn mount_records<'a>(pod: &'a Listed, listed: &'a ListedApp) -> Vec<MountRecord<'a>> {
    listed.app.mounts.iter().filter_map(|mount| mount_record(&pod.manifest, mount)).collect()
}

fn mount_record<'a>(manifest: &'a PodManifest, mount: &'a Mount) -> Option<MountRecord<'a>> {
    let named = |volume: &&Volume| volume.name == mount.volume;
    let volume = mount.app_volume.as_ref().or_else(|| manifest.volumes.iter().find(named))?;
    let host_path = match &volume.kind {
        VolumeKind::Host { source } => source,
        VolumeKind::Empty { .. } | VolumeKind::Memory { .. } => "",
    };
    Some(MountRecord {
        name: volume.name.as_str(),
        container_path: &mount.path,
        host_path,
        read_only: volume.read_only.unwrap_or(false),
    })
}
