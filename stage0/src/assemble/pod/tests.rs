use super::*;
use crate::assemble::Overrides;

fn image(name: &str) -> ImageManifest {
    let json = format!(
        r#"{{"acKind":"ImageManifest","acVersion":"0.8.11","name":"{name}","app":{{"exec":["/a"],"user":"0","group":"0"}}}}"#
    );
    ImageManifest::from_slice(json.as_bytes()).unwrap()
}

fn assemble(
    images: &[(&ImageManifest, &Overrides)],
    request: &PodRequest,
) -> Result<PodManifest, AssembleError> {
    let requests: Vec<_> = images
        .iter()
        .map(|(image, overrides)| AppRequest {
            id: "sha512-ab".parse().unwrap(),
            image,
            overrides,
            arguments: &[],
        })
        .collect();
    pod_manifest(&requests, request)
}

fn with_mount(mount: &str) -> Overrides {
    Overrides { mount: vec![mount.parse().unwrap()], ..Overrides::default() }
}

#[test]
fn apps_keep_their_order_and_have_one_name_each() {
    let (a, b, none) = (image("x/a"), image("x/b"), Overrides::default());
    let manifest = assemble(&[(&b, &none), (&a, &none)], &PodRequest::default()).unwrap();
    assert_eq!(manifest.apps.iter().map(|app| app.name.as_str()).collect::<Vec<_>>(), ["b", "a"]);
    assert_eq!(manifest.annotations.get("coreos.com/rkt/stage1/mutable"), Some("false"));
    let error = assemble(&[(&a, &none), (&a, &none)], &PodRequest::default()).unwrap_err();
    assert_eq!(error.to_string(), "error: multiple apps with name a");
}

#[test]
fn mounts_need_their_volume() {
    let error =
        assemble(&[(&image("a"), &with_mount("volume=v,target=/p"))], &PodRequest::default()).unwrap_err();
    assert_eq!(error.to_string(), "dangling mount point \"/p\": volume \"v\" not found");
}

#[test]
fn own_mounts_beat_pod_wide_ones() {
    let request = PodRequest {
        volumes: vec!["v,kind=empty".parse().unwrap(), "w,kind=empty".parse().unwrap()],
        mounts: vec!["volume=w,target=/p//x/".parse().unwrap(), "volume=w,target=/q".parse().unwrap()],
        ..PodRequest::default()
    };
    let manifest = assemble(
        &[(&image("a"), &with_mount("volume=v,target=/p/y/../x")), (&image("b"), &Overrides::default())],
        &request,
    )
    .unwrap();
    let volumes = |app: &str| {
        let mounts = &manifest.app(app).unwrap().mounts;
        mounts.iter().map(|mount| mount.volume.to_string()).collect::<Vec<_>>()
    };
    assert_eq!((volumes("a"), volumes("b")), (vec!["v".into(), "w".into()], vec!["w".into(), "w".into()]));
}

#[test]
fn one_app_has_the_terminal() {
    let (a, b, none) = (image("a"), image("b"), Overrides::default());
    let request = PodRequest { interactive: true, ..PodRequest::default() };
    let manifest = assemble(&[(&a, &none)], &request).unwrap();
    assert_eq!(manifest.apps[0].annotations.get("coreos.com/rkt/stage2/stdin"), Some("interactive"));
    let error = assemble(&[(&a, &none), (&b, &none)], &request).unwrap_err();
    assert_eq!(error.to_string(), "interactive option only supports one image");
}

#[test]
fn the_result_is_validated() {
    let request = PodRequest {
        volumes: vec!["v,kind=empty".parse().unwrap(), "v,kind=empty".parse().unwrap()],
        ..PodRequest::default()
    };
    assert!(matches!(
        assemble(&[(&image("a"), &Overrides::default())], &request),
        Err(AssembleError::Manifest(ManifestError::DuplicateVolume(_)))
    ));
    let relative = Overrides { working_dir: Some("x".to_owned()), ..Overrides::default() };
    assert!(matches!(
        assemble(&[(&image("a"), &relative)], &PodRequest::default()),
        Err(AssembleError::Manifest(ManifestError::RuntimeApp { .. }))
    ));
}

#[test]
fn given_manifests_take_sections_from_images() {
    let mut given = assemble(&[(&image("a"), &Overrides::default())], &PodRequest::default()).unwrap();
    given.apps[0].app = None;
    let images = BTreeMap::from([("a".parse().unwrap(), image("a"))]);
    let complete = complete_given_manifest(given.clone(), &images).unwrap();
    assert_eq!(complete.apps[0].app, image("a").app);
    let error = complete_given_manifest(given, &BTreeMap::new()).unwrap_err();
    assert!(matches!(error, AssembleError::NoAppSection(_)));
}
