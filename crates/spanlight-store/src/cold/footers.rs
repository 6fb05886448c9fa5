//! What readers keep of data files: their indexes of traces, their footers, and what was read because of these. Bounded
//! in bytes, so that look-ups in many files read none of it twice and memory does not grow.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use parquet::errors::ParquetError;

use super::fetch::Fetch;
use super::footer::Footer;
use super::traces::TraceIndex;

/// Bytes that are kept, unless one file alone takes more.
const BYTES_MAX: usize = 48 << 20;
/// Memory of the name of a file and what belongs to it.
const KNOWN_BYTES: usize = 300;

/// Footers and indexes of traces by file, the least recently used leaving first, and footers before indexes, which are
/// smaller and needed by more.
#[derive(Debug, Default)]
pub(crate) struct FooterCache {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    files: HashMap<PathBuf, Known>,
    uses: u64,
}

/// What is known of a file.
#[derive(Debug, Default)]
struct Known {
    footer: Option<Arc<Footer>>,
    /// An inner `None` says that there is none, or none that can be read.
    traces: Option<Option<Arc<TraceIndex>>>,
    used: u64,
}

impl FooterCache {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The footer of this file, if it is there.
    pub(crate) fn find(&self, path: &Path) -> Option<Arc<Footer>> {
        self.state().known(path).footer.clone()
    }

    /// The footer of the file that is fetched from, read when it is not there.
    pub(crate) fn get(&self, fetch: &Fetch) -> Result<Arc<Footer>, ParquetError> {
        let path = &fetch.file().path;
        let traces = {
            let mut state = self.state();
            let known = state.known(path);
            if let Some(footer) = &known.footer {
                return Ok(Arc::clone(footer));
            }
            known.traces.clone().flatten()
        };
        // Two readers may read it at once; either is right.
        let footer = Arc::new(Footer::read(fetch, traces)?);
        let mut state = self.state();
        let known = state.known(path);
        known.traces = Some(footer.traces.clone());
        known.footer = Some(Arc::clone(&footer));
        state.trim(BYTES_MAX);
        Ok(footer)
    }

    /// The index of traces of this file, if it is known.
    pub(crate) fn find_traces(&self, path: &Path) -> Option<Arc<TraceIndex>> {
        let traces = self.state().known(path).traces.clone().flatten();
        traces.filter(|index| !index.is_damaged())
    }

    /// The index of traces of the file that is fetched from, where there is one that is sound. Read when it is not
    /// there, without the footer.
    pub(crate) fn traces(&self, fetch: &Fetch) -> Option<Arc<TraceIndex>> {
        let path = &fetch.file().path;
        let known = self.state().known(path).traces.clone();
        let traces = known.unwrap_or_else(|| {
            // What is wrong with the file is found out when its footer is read.
            let traces = TraceIndex::find(&fetch.last().ok()?).map(Arc::new);
            self.state().known(path).traces = Some(traces.clone());
            traces
        });
        traces.filter(|index| !index.is_damaged())
    }

    /// Bytes that they take.
    pub(crate) fn bytes(&self) -> usize {
        self.state().bytes()
    }

    /// Lets go of what is too much. Footers grow while they are used.
    pub(crate) fn trim(&self) {
        self.trim_to(BYTES_MAX);
    }

    pub(crate) fn trim_to(&self, bytes_max: usize) {
        self.state().trim(bytes_max);
    }
}

impl State {
    /// What is known of a file that is used now.
    fn known(&mut self, path: &Path) -> &mut Known {
        self.uses += 1;
        let known = self.files.entry(path.to_owned()).or_default();
        known.used = self.uses;
        known
    }

    fn bytes(&self) -> usize {
        self.files.values().map(Known::bytes).sum()
    }

    fn trim(&mut self, bytes_max: usize) {
        let mut bytes = self.bytes();
        while bytes > bytes_max && self.files.len() > 1 {
            let files = self.files.iter();
            // Of each file first the footer.
            let oldest = files.min_by_key(|(_, known)| (known.footer.is_none(), known.used));
            let Some(oldest) = oldest.map(|(path, _)| path.clone()) else {
                return;
            };
            let Some(known) = self.files.get_mut(&oldest) else {
                return;
            };
            bytes -= known.bytes().min(bytes);
            if known.footer.take().is_some() {
                bytes += known.bytes();
            } else {
                self.files.remove(&oldest);
            }
        }
    }
}

impl Known {
    fn bytes(&self) -> usize {
        let footer = self.footer.as_ref().map_or(0, |footer| footer.bytes());
        let traces = self.traces.as_ref().and_then(Option::as_ref);
        KNOWN_BYTES + footer + traces.map_or(0, |traces| traces.memory())
    }
}
