//! Bringing an OCI image into the store: layers several at a time, each stored and unpacked in one pass.

use super::{FetchError, Fetcher};
use crate::archive::{Decoder, Limits};
use crate::convert::{self, Origin};
use crate::registry::Digest;
use crate::registry::manifest::{Config, Descriptor, Manifest};
use crate::store::{Key, LayerInfo, StoreError, sync_dir};
use crate::tree::RenderError;
use crate::tree::layer::{self, LayerLock};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// Layers transferred at once.
const PARALLEL: usize = 4;

/// Where blobs of an image come from.
pub trait BlobSource: Sync {
    /// The content from byte `from` on, and the byte it really starts at, which is `from` or 0.
    fn open(&self, blob: &Descriptor, from: u64) -> Result<(Box<dyn Read + '_>, u64), FetchError>;
    /// What the blob is called in messages.
    fn describe(&self, blob: &Descriptor) -> String;
}

/// What has to be done for one layer.
struct Plan<'a> {
    blob: &'a Descriptor,
    lock: LayerLock,
    info: LayerInfo,
    /// Where the finished download is, to be given its name.
    downloaded: Option<PathBuf>,
    unpacked: bool,
}

impl Fetcher<'_> {
    /// Imports an image whose manifest and configuration are known and checked.
    pub(super) fn import_layers(
        &self,
        source: &dyn BlobSource,
        origin: &Origin,
        manifest: &Manifest,
        config: &Config,
    ) -> Result<Key, FetchError> {
        let aci = convert::image_manifest(origin, manifest, config)?;
        let archive = convert::archive(&aci)?;
        let mut plans = self.plan(manifest, config)?;
        if let Err(error) = self.transfer(source, &mut plans) {
            self.give_up(&plans, &error);
            return Err(error);
        }
        let unpacked: Vec<_> = plans.iter().filter(|p| p.unpacked).map(|p| &p.lock).collect();
        layer::finish(self.store, &unpacked)?;
        self.name_downloads(&plans)?;
        let by_id: BTreeMap<_, _> = plans.iter().map(|p| (p.info.diff_id.as_str(), &p.info)).collect();
        let ids = config.rootfs.diff_ids.iter();
        let layers: Vec<LayerInfo> = ids.filter_map(|id| by_id.get(id.hex()).copied().cloned()).collect();
        let staged = self.store.stage(&archive[..], self.limits)?;
        let latest = origin.version == "latest";
        // The layers' locks are still held: nothing removes a layer before the image that needs it is known.
        Ok(self.store.publish(staged, &layers, latest)?.key)
    }

    /// Locks the image's layers in the order of their ids and finds out what is there.
    fn plan<'m>(&self, manifest: &'m Manifest, config: &Config) -> Result<Vec<Plan<'m>>, FetchError> {
        let pairs: BTreeMap<_, _> = config.rootfs.diff_ids.iter().zip(&manifest.layers).collect();
        let mut plans = Vec::new();
        for (diff_id, blob) in pairs {
            let lock = LayerLock::new(self.store, diff_id.hex())?;
            let known = self.store.index().layer(diff_id.hex())?;
            let info = known.unwrap_or_else(|| LayerInfo {
                diff_id: diff_id.hex().to_owned(),
                digest: blob.digest.hex().to_owned(),
                media_type: blob.media_type.clone(),
                size: blob.size,
            });
            plans.push(Plan { blob, lock, info, downloaded: None, unpacked: false });
        }
        Ok(plans)
    }

    fn transfer(&self, source: &dyn BlobSource, plans: &mut [Plan<'_>]) -> Result<(), FetchError> {
        let stop = AtomicBool::new(false);
        let failed = Mutex::new(None);
        let workers = PARALLEL.min(plans.len());
        let queue = Mutex::new(plans.iter_mut());
        std::thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(|| {
                    loop {
                        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                        let Some(plan) = next.filter(|_| !stop.load(Ordering::Relaxed)) else { return };
                        if let Err(error) = self.layer(source, plan, &stop) {
                            // The first failure is the cause; the others only noticed that they should stop.
                            failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                            stop.store(true, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }

    /// Removes what finished layers of a failed image left. Downloads stay, to be used by the next try, unless there can
    /// be none. What cannot be removed is swept up by `image gc`.
    fn give_up(&self, plans: &[Plan<'_>], error: &FetchError) {
        let hopeless = matches!(error, FetchError::Render(error) if error.blames_image());
        for plan in plans {
            if plan.unpacked {
                let _ = plan.lock.discard(self.store);
            }
            if hopeless {
                let _ = std::fs::remove_file(self.partial(plan));
            }
        }
    }

    fn layer(
        &self,
        source: &dyn BlobSource,
        plan: &mut Plan<'_>,
        stop: &AtomicBool,
    ) -> Result<(), FetchError> {
        let wants_tree = self.renders && !plan.lock.is_rendered();
        let blob = self.store.layer_blob(&plan.info.diff_id);
        if std::fs::metadata(&blob).is_ok_and(|m| m.len() == plan.info.size) {
            if !wants_tree {
                return Ok(());
            }
            let file = File::open(&blob).map_err(StoreError::io("open", &blob))?;
            match plan.lock.unpack(self.store, file, self.limits) {
                Ok(()) => {
                    plan.unpacked = true;
                    return Ok(());
                }
                // Damaged on disk: fetched again below.
                Err(RenderError::DiffId { .. } | RenderError::Read(_) | RenderError::Tar(_)) => {}
                Err(e) => return Err(e.into()),
            }
        }
        plan.info.digest = plan.blob.digest.hex().to_owned();
        plan.info.media_type.clone_from(&plan.blob.media_type);
        plan.info.size = plan.blob.size;
        let partial = self.partial(plan);
        self.download(source, plan, &partial, wants_tree, stop)?;
        plan.downloaded = Some(partial);
        plan.unpacked = wants_tree;
        Ok(())
    }

    /// Where an unfinished download is kept: whoever holds the layer's lock may use it.
    fn partial(&self, plan: &Plan<'_>) -> PathBuf {
        self.store.dirs().tmp().join(format!("layer-{}-{}", plan.info.diff_id, &plan.blob.digest.hex()[..16]))
    }

    fn download(
        &self,
        source: &dyn BlobSource,
        plan: &Plan<'_>,
        partial: &Path,
        wants_tree: bool,
        stop: &AtomicBool,
    ) -> Result<(), FetchError> {
        let name = source.describe(plan.blob);
        let mut download = Download::start(source, plan.blob, partial, stop)?;
        let done = download.replay;
        let label = format!("layer {}", &plan.blob.digest.hex()[..12]);
        let transfer = self.progress.transfer(&label, Some(plan.blob.size), done);
        let mut counted = transfer.count(&mut download);
        let result = match wants_tree {
            true => plan.lock.unpack(self.store, &mut counted, self.limits),
            false => check(&mut counted, &plan.info.diff_id, self.limits),
        };
        // Whatever the content was, first see whether it is what was announced: that explains the rest.
        let drained = io::copy(&mut download, &mut io::sink());
        if let Some(source) = download.failed.take() {
            plan.lock.discard(self.store)?;
            return Err(FetchError::Download { name, source });
        }
        drained.map_err(|source| FetchError::Download { name: name.clone(), source })?;
        let found = Digest::from_hasher(download.hash);
        if found != plan.blob.digest || download.count != plan.blob.size {
            let _ = std::fs::remove_file(partial);
            plan.lock.discard(self.store)?;
            let (expected, size) = (plan.blob.digest.clone(), plan.blob.size);
            return Err(FetchError::Blob { name, expected, size, found, len: download.count });
        }
        if result.is_err() {
            // The bytes are right and useless: nothing to resume.
            let _ = std::fs::remove_file(partial);
            plan.lock.discard(self.store)?;
        }
        Ok(result?)
    }

    /// Gives downloads their names in the store once they are on disk.
    fn name_downloads(&self, plans: &[Plan<'_>]) -> Result<(), FetchError> {
        for plan in plans {
            let Some(partial) = &plan.downloaded else { continue };
            let path = self.store.layer_blob(&plan.info.diff_id);
            self.store.dirs().make_fan_out(&path)?;
            File::open(partial).and_then(|f| f.sync_all()).map_err(StoreError::io("sync", partial))?;
            std::fs::rename(partial, &path).map_err(StoreError::io("rename", partial))?;
            if let Some(dir) = path.parent() {
                sync_dir(dir).map_err(StoreError::io("sync", dir))?;
            }
        }
        Ok(())
    }
}

/// Checks a layer's uncompressed content without unpacking it.
fn check(input: &mut impl Read, diff_id: &str, limits: Limits) -> Result<(), RenderError> {
    let decoder = Decoder::new(input).map_err(RenderError::Read)?;
    let mut hash = Sha256::new();
    let copied =
        io::copy(&mut decoder.take(limits.bytes.saturating_add(1)), &mut hash).map_err(RenderError::Read)?;
    if copied > limits.bytes {
        return Err(RenderError::Read(io::Error::other(crate::tree::TooBig)));
    }
    let found = hex::encode(hash.finalize());
    match found == diff_id {
        true => Ok(()),
        false => Err(RenderError::DiffId { expected: diff_id.to_owned(), found }),
    }
}

/// A blob being read: first what an interrupted download left, then the rest from the source, which is kept.
struct Download<'a> {
    file: File,
    body: Box<dyn Read + 'a>,
    /// Bytes of the file still to be read again.
    replay: u64,
    hash: Sha256,
    count: u64,
    size: u64,
    stop: &'a AtomicBool,
    /// The source's failure, apart from those of whoever reads.
    failed: Option<io::Error>,
}

impl<'a> Download<'a> {
    fn start(
        source: &'a dyn BlobSource,
        blob: &Descriptor,
        partial: &Path,
        stop: &'a AtomicBool,
    ) -> Result<Self, FetchError> {
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(partial);
        let mut file = open.map_err(StoreError::io("open", partial))?;
        let have = file.metadata().map_err(StoreError::io("examine", partial))?.len();
        // Something longer than the blob is not its beginning.
        let have = if have > blob.size { 0 } else { have };
        let (body, start): (Box<dyn Read + 'a>, u64) = match have == blob.size {
            true => (Box::new(io::empty()), have),
            false => source.open(blob, have)?,
        };
        file.set_len(start).map_err(StoreError::io("truncate", partial))?;
        file.seek(SeekFrom::Start(0)).map_err(StoreError::io("read", partial))?;
        Ok(Download {
            file,
            body,
            replay: start,
            hash: Sha256::new(),
            count: 0,
            size: blob.size,
            stop,
            failed: None,
        })
    }

    fn read_more(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(io::Error::other("Stopped because another layer failed"));
        }
        if self.replay > 0 {
            let want = buf.len().min(usize::try_from(self.replay).unwrap_or(usize::MAX));
            let got = self.file.read(&mut buf[..want])?;
            self.replay -= got as u64;
            return if got == 0 && want > 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(got) };
        }
        // One byte more than announced tells that there is more, without reading without end.
        let left = (self.size - self.count.min(self.size)).saturating_add(1);
        if self.count > self.size {
            return Ok(0);
        }
        let want = buf.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let got = self.body.read(&mut buf[..want])?;
        self.file.write_all(&buf[..got])?;
        Ok(got)
    }
}

impl Read for Download<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.failed.is_some() {
            return Err(io::Error::other("Download failed"));
        }
        match self.read_more(buf) {
            Ok(got) => {
                self.count += got as u64;
                self.hash.update(&buf[..got]);
                Ok(got)
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Err(e),
            Err(e) => {
                self.failed = Some(e);
                Err(io::Error::other("Download failed"))
            }
        }
    }
}
