//! One committer for a table on an object store: an object beside the table says who it is, and is renewed as long as
//! it lives.
//!
//! The claim keeps a second server from starting by mistake, and from removing files that the first one still needs.
//! That two never commit over each other does not hang on it, nor on anybody's clock: each commit of the table is a
//! conditional put of the next version, and carries the number of its committer's term (`table.rs`).
//!
//! A claim whose object has not changed for a term of the observer's own time is dead. One that this data directory
//! left behind is dead at once, since we hold the directory's lock.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, UpdateVersion};
use serde_json::{Value, json};
use tokio::task::AbortHandle;

use super::gate::{Gate, describe};

/// Where the claim is, relative to the table. Delta's tools pass over names that begin with an underscore.
pub(crate) const CLAIM: &str = "_spanlight/committer.json";
/// How often an observer looks whether a claim is renewed.
const LOOK: Duration = Duration::from_secs(2);

/// How long giving a claim up may take.
const RELEASE_TIME: Duration = Duration::from_secs(3);

/// Why the table is not ours to change.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum LeaseError {
    #[error("{0}")]
    Taken(String),
    #[error("{0}")]
    Unreachable(String),
}

/// Who claims.
#[derive(Debug, Clone)]
pub(crate) struct Claimant {
    /// The data directory's own id: a claim under it is one that this directory left behind.
    pub(crate) app_id: String,
    /// The data directory, for people.
    pub(crate) directory: String,
}

/// A claim that is ours, renewed in the background until this is dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    state: Arc<State>,
    renewal: AbortHandle,
}

#[derive(Debug)]
struct State {
    gate: Arc<Gate>,
    claimant: Claimant,
    /// Tells this process from others with the same directory.
    instance: String,
    term: Duration,
    held: Mutex<Held>,
}

#[derive(Debug)]
struct Held {
    version: UpdateVersion,
    renewed: Instant,
    /// Who has the table now.
    lost_to: Option<String>,
}

/// The claim of another, as it was found.
struct Found {
    version: UpdateVersion,
    app_id: String,
    who: String,
    is_released: bool,
}

impl Lease {
    /// Takes the table, waiting for a dead claim to run out if `patience` allows.
    pub(crate) async fn take(
        gate: &Arc<Gate>,
        claimant: &Claimant,
        term: Duration,
        patience: Duration,
    ) -> Result<Self, LeaseError> {
        let instance = uuid::Uuid::new_v4().to_string();
        let start = Instant::now();
        let mut seen: Option<(Option<String>, Instant)> = None;
        loop {
            let found = find(gate).await?;
            let is_free = match (&found, &seen) {
                (None, _) => true,
                (Some(found), _) if found.is_released || found.app_id == claimant.app_id => true,
                (Some(found), Some((tag, since))) if *tag == found.version.e_tag => {
                    since.elapsed() >= term
                }
                // It was renewed before our eyes.
                (Some(found), Some(_)) => return Err(taken(gate, found)),
                (Some(found), None) => {
                    seen = Some((found.version.e_tag.clone(), Instant::now()));
                    false
                }
            };
            if is_free {
                let before = found.map(|found| found.version);
                if let Some(version) = write(gate, claimant, &instance, term, before).await? {
                    return Ok(Self::start(gate, claimant, instance, term, version));
                }
                // Another was quicker.
                seen = None;
                continue;
            }
            if let (Some(found), true) = (&found, start.elapsed() >= patience) {
                return Err(taken(gate, found));
            }
            tokio::time::sleep(LOOK.min(term / 4)).await;
        }
    }

    fn start(
        gate: &Arc<Gate>,
        claimant: &Claimant,
        instance: String,
        term: Duration,
        version: UpdateVersion,
    ) -> Self {
        let state = Arc::new(State {
            gate: Arc::clone(gate),
            claimant: claimant.clone(),
            instance,
            term,
            held: Mutex::new(Held {
                version,
                renewed: Instant::now(),
                lost_to: None,
            }),
        });
        let renewed = Arc::clone(&state);
        let renewal = tokio::spawn(async move { renewed.renew_for_ever().await });
        Self {
            state,
            renewal: renewal.abort_handle(),
        }
    }

    /// Whether nobody else can have the table now. After a doubt this asks the store.
    pub(crate) async fn check(&self) -> Result<(), LeaseError> {
        let (renewed, lost_to) = {
            let held = self.state.held();
            (held.renewed, held.lost_to.clone())
        };
        if let Some(who) = lost_to {
            return Err(LeaseError::Taken(who));
        }
        if renewed.elapsed() < self.state.term {
            return Ok(());
        }
        self.state.renew().await
    }

    /// Gives the table up, so that the next one need not wait.
    pub(crate) async fn release(self) {
        self.renewal.abort();
        let version = self.state.held().version.clone();
        let text = json!({ "released": true }).to_string();
        let options = PutOptions::from(PutMode::Update(version));
        let path = Path::from(CLAIM);
        let released = self.state.gate.put_opts(&path, text.into(), options);
        // Who closes does not wait for a store that is away; the claim runs out by itself.
        if let Ok(Err(error)) = tokio::time::timeout(RELEASE_TIME, released).await {
            let reason = describe(&error);
            tracing::debug!(reason, "the claim on the table was not given up");
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

impl State {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn renew_for_ever(&self) {
        loop {
            tokio::time::sleep(self.term / 3).await;
            if let Err(LeaseError::Taken(who)) = self.renew().await {
                tracing::error!(
                    who,
                    "another server took the table; this one no longer commits to it"
                );
                return;
            }
        }
    }

    async fn renew(&self) -> Result<(), LeaseError> {
        let asked = Instant::now();
        let version = self.held().version.clone();
        let before = Some(version);
        let written = write(
            &self.gate,
            &self.claimant,
            &self.instance,
            self.term,
            before,
        )
        .await?;
        if let Some(version) = written {
            let mut held = self.held();
            held.version = version;
            held.renewed = asked;
            return Ok(());
        }
        // Someone wrote it: another, or we ourselves, and the answer was lost.
        let found = find(&self.gate).await?;
        let who = match found {
            Some(found) if found.who == who(&self.claimant, &self.instance) => {
                let mut held = self.held();
                held.version = found.version;
                held.renewed = asked;
                return Ok(());
            }
            Some(found) => taken(&self.gate, &found).to_string(),
            None => format!("the claim on {} was removed", self.gate.name()),
        };
        self.held().lost_to = Some(who.clone());
        Err(LeaseError::Taken(who))
    }
}

fn taken(gate: &Gate, found: &Found) -> LeaseError {
    LeaseError::Taken(format!(
        "the table {} belongs to another Spanlight ({}); stop it, or choose another storage.cold_url",
        gate.name(),
        found.who
    ))
}

fn unreachable_store(error: &Error) -> LeaseError {
    LeaseError::Unreachable(describe(error))
}

async fn find(gate: &Gate) -> Result<Option<Found>, LeaseError> {
    let found = match gate.get(&Path::from(CLAIM)).await {
        Ok(found) => found,
        Err(Error::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(unreachable_store(&error)),
    };
    let version = UpdateVersion {
        e_tag: found.meta.e_tag.clone(),
        version: found.meta.version.clone(),
    };
    let bytes = found
        .bytes()
        .await
        .map_err(|error| unreachable_store(&error))?;
    // What cannot be read is a claim all the same, of somebody unknown.
    let claim: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let text = |key: &str| claim[key].as_str().unwrap_or("?").to_owned();
    Ok(Some(Found {
        version,
        app_id: text("app_id"),
        who: text("who"),
        is_released: claim["released"].as_bool() == Some(true),
    }))
}

fn who(claimant: &Claimant, instance: &str) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!(
        "host {}, process {}, data directory {}, start {}",
        if host.is_empty() { "?" } else { host.trim() },
        std::process::id(),
        claimant.directory,
        instance.get(..8).unwrap_or(instance),
    )
}

/// Writes the claim in the place of this one; `None` when another was there first.
async fn write(
    gate: &Gate,
    claimant: &Claimant,
    instance: &str,
    term: Duration,
    before: Option<UpdateVersion>,
) -> Result<Option<UpdateVersion>, LeaseError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let claim = json!({
        "app_id": claimant.app_id,
        "who": who(claimant, instance),
        "renewed_unix_s": now.map_or(0, |now| now.as_secs()),
        "term_s": term.as_secs(),
        // So that each renewal has another tag.
        "nonce": uuid::Uuid::new_v4().to_string(),
    });
    let mode = before.map_or(PutMode::Create, PutMode::Update);
    let options = PutOptions::from(mode);
    let text = claim.to_string();
    match gate
        .put_opts(&Path::from(CLAIM), text.into(), options)
        .await
    {
        Ok(written) => Ok(Some(written.into())),
        Err(Error::AlreadyExists { .. } | Error::Precondition { .. } | Error::NotFound { .. }) => {
            Ok(None)
        }
        Err(error) => Err(unreachable_store(&error)),
    }
}
