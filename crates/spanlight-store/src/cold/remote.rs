//! A table that is not below the data directory: the URL that names its place, and the parts that make an object store
//! behave: `gate` (time limits, and no knocking at a closed door), `disk` (its data files as files, through the cache),
//! `lease` (one committer).

pub(crate) mod disk;
pub(crate) mod gate;
pub(crate) mod lease;
pub(crate) mod table;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{BackoffConfig, ClientConfigKey, ObjectStore, ObjectStoreScheme, RetryConfig};
use url::Url;

/// How long a connection may take to open.
const CONNECT_TIMEOUT: &str = "5 seconds";
/// How long one request may take, body included.
const REQUEST_TIMEOUT: &str = "30 seconds";
/// A request that failed is tried again so often, at growing and random intervals.
const RETRIES_MAX: usize = 4;
/// No try begins later than this after the first.
const RETRY_TIME: Duration = Duration::from_secs(20);

/// Where the cold table is.
#[derive(Debug, Clone, Default)]
pub enum ColdLocation {
    /// Below the data directory.
    #[default]
    DataDir,
    /// In another local directory, which is written and synced in the same way.
    Directory(PathBuf),
    /// On an object store.
    Objects(ObjectLocation),
}

/// A place on an object store.
#[derive(Clone)]
pub struct ObjectLocation {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) name: String,
}

impl fmt::Debug for ObjectLocation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The store's own text may have credentials in it.
        formatter
            .debug_struct("ObjectLocation")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Why a URL names no place for a table.
#[derive(Debug, thiserror::Error)]
pub enum LocationError {
    /// It is no URL, or one of another kind.
    #[error(
        "{url:?} is no place for a table; expected s3://bucket/prefix, gs://bucket/prefix, az://container/prefix or file:///directory"
    )]
    Url {
        /// What was given.
        url: String,
    },
    /// An option is not known, or does not fit.
    #[error("{url}: {reason}")]
    Options {
        /// The table's URL.
        url: String,
        /// What is wrong.
        reason: String,
    },
}

impl ColdLocation {
    /// The place that a URL names: `s3://`, `gs://`, `az://` with bucket and prefix, or `file://` with a directory.
    ///
    /// What else there is to know comes from the environment (`AWS_…`, `GOOGLE_…`, `AZURE_…`), and from these options,
    /// which win; they are named as there, in any case, with or without the prefix (`aws_endpoint_url`, `endpoint_url`).
    ///
    /// # Errors
    /// [`LocationError`] says what is wrong with the URL or an option. Nothing is asked of the network.
    pub fn from_url(url: &str, options: &BTreeMap<String, String>) -> Result<Self, LocationError> {
        let not_a_place = || LocationError::Url {
            url: url.to_owned(),
        };
        let parsed = Url::parse(url).map_err(|_| not_a_place())?;
        let (scheme, path) = ObjectStoreScheme::parse(&parsed).map_err(|_| not_a_place())?;
        let store: Arc<dyn ObjectStore> = match scheme {
            ObjectStoreScheme::Local => {
                let directory = parsed.to_file_path().map_err(|()| not_a_place())?;
                return Ok(Self::Directory(directory));
            }
            ObjectStoreScheme::AmazonS3 => s3(url, options)?,
            ObjectStoreScheme::GoogleCloudStorage => google(url, options)?,
            ObjectStoreScheme::MicrosoftAzure => azure(url, options)?,
            _ => return Err(not_a_place()),
        };
        Ok(Self::of_store(url, store, path))
    }

    /// A place on a store that is at hand, below a prefix. `name` is for messages.
    pub fn of_store(name: &str, store: Arc<dyn ObjectStore>, prefix: Path) -> Self {
        let store: Arc<dyn ObjectStore> = if prefix == Path::default() {
            store
        } else {
            Arc::new(PrefixStore::new(store, prefix))
        };
        Self::Objects(ObjectLocation {
            store,
            name: name.trim_end_matches('/').to_owned(),
        })
    }
}

impl ColdLocation {
    /// The place as a URL; `None` below the data directory.
    pub(crate) fn url(&self) -> Option<String> {
        match self {
            Self::DataDir => None,
            Self::Directory(path) => Some(format!("file://{}", path.display())),
            Self::Objects(location) => Some(location.name.clone()),
        }
    }
}

fn retry() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(4),
            base: 2.0,
        },
        max_retries: RETRIES_MAX,
        retry_timeout: RETRY_TIME,
    }
}

/// One builder for each kind of store: they share no trait, but they share their shape.
macro_rules! build {
    ($builder:ty, $key:ident, $url:expr, $options:expr) => {{
        let wrong = |reason: String| LocationError::Options {
            url: $url.to_owned(),
            reason,
        };
        let mut builder = <$builder>::from_env()
            .with_url($url)
            .with_retry(retry())
            .with_config(
                $key::Client(ClientConfigKey::ConnectTimeout),
                CONNECT_TIMEOUT,
            )
            .with_config($key::Client(ClientConfigKey::Timeout), REQUEST_TIMEOUT);
        for (name, value) in $options {
            let key = name.to_ascii_lowercase().parse::<$key>();
            let key = key.map_err(|_| wrong(format!("no option is called {name:?}")))?;
            builder = builder.with_config(key, value);
        }
        let store = builder.build().map_err(|error| wrong(error.to_string()))?;
        Ok(Arc::new(store))
    }};
}

fn s3(
    url: &str,
    options: &BTreeMap<String, String>,
) -> Result<Arc<dyn ObjectStore>, LocationError> {
    build!(AmazonS3Builder, AmazonS3ConfigKey, url, options)
}

fn google(
    url: &str,
    options: &BTreeMap<String, String>,
) -> Result<Arc<dyn ObjectStore>, LocationError> {
    build!(GoogleCloudStorageBuilder, GoogleConfigKey, url, options)
}

fn azure(
    url: &str,
    options: &BTreeMap<String, String>,
) -> Result<Arc<dyn ObjectStore>, LocationError> {
    build!(MicrosoftAzureBuilder, AzureConfigKey, url, options)
}
