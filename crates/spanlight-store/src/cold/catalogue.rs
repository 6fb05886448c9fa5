//! Which attribute keys have a column of their own. Owns the names of those columns, and the rule by which a key gets
//! one; `cold/TABLE.md` explains both.
//!
//! A catalogue is a value that never changes: one that has more columns is another one.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema};
use serde_json::{Value as Json, json};
use spanlight_model::AttributeType;

use super::schema;

/// Keys that are promoted, at most. Readers open every column's statistics: this is what bounds them.
pub(crate) const COLUMNS_MAX: usize = 200;
/// Places that only well-known keys may take, so that a flood of others cannot keep them out.
const RESERVED: usize = 60;
/// Longer keys stay in the tail.
const KEY_BYTES_MAX: usize = 100;

/// Keys of the field's metadata in the table, and of a column in a file's catalogue.
pub(crate) const META_SCOPE: &str = "spanlight.scope";
pub(crate) const META_KEY: &str = "spanlight.key";

/// Whose attribute it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum AttributeScope {
    Span,
    Resource,
}

impl AttributeScope {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Span => "span",
            Self::Resource => "resource",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Span, Self::Resource]
            .into_iter()
            .find(|scope| scope.as_str() == text)
    }
}

/// The type of a column; values of other types stay in the tail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum ColumnType {
    String,
    Int,
    Double,
    Bool,
}

impl ColumnType {
    const ALL: [Self; 4] = [Self::String, Self::Int, Self::Double, Self::Bool];

    pub(crate) fn of(kind: AttributeType) -> Option<Self> {
        match kind {
            AttributeType::String => Some(Self::String),
            AttributeType::Int => Some(Self::Int),
            AttributeType::Double => Some(Self::Double),
            AttributeType::Bool => Some(Self::Bool),
            AttributeType::Empty
            | AttributeType::Bytes
            | AttributeType::Array
            | AttributeType::KeyValueList => None,
        }
    }

    pub(crate) fn attribute_type(self) -> AttributeType {
        match self {
            Self::String => AttributeType::String,
            Self::Int => AttributeType::Int,
            Self::Double => AttributeType::Double,
            Self::Bool => AttributeType::Bool,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Int => "int",
            Self::Double => "double",
            Self::Bool => "bool",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    pub(crate) fn data_type(self) -> DataType {
        match self {
            Self::String => DataType::Utf8,
            Self::Int => DataType::Int64,
            Self::Double => DataType::Float64,
            Self::Bool => DataType::Boolean,
        }
    }

    fn of_data_type(kind: &DataType) -> Option<Self> {
        Self::ALL.into_iter().find(|own| own.data_type() == *kind)
    }
}

/// A column that holds one key's values of one type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AttributeColumn {
    /// The column's name in the table and in files.
    pub(crate) name: String,
    pub(crate) scope: AttributeScope,
    pub(crate) key: String,
    pub(crate) kind: ColumnType,
}

impl AttributeColumn {
    /// The column as the table has it: its metadata say what it holds.
    pub(crate) fn field(&self) -> Field {
        let metadata = [
            (META_SCOPE, self.scope.as_str()),
            (META_KEY, self.key.as_str()),
        ];
        let metadata = metadata.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Field::new(&self.name, self.kind.data_type(), true).with_metadata(metadata.into())
    }
}

/// The columns of a file, or of the table.
#[derive(Debug, Clone, Default)]
pub(crate) struct Catalogue {
    columns: Vec<Arc<AttributeColumn>>,
    by_key: BTreeMap<(AttributeScope, String), Vec<usize>>,
    /// In lower case: there are engines that do not tell the cases apart.
    names: HashSet<String>,
}

impl PartialEq for Catalogue {
    fn eq(&self, other: &Self) -> bool {
        self.columns == other.columns
    }
}

impl Catalogue {
    /// The columns, the oldest first.
    pub(crate) fn columns(&self) -> &[Arc<AttributeColumn>] {
        &self.columns
    }

    /// The columns of a key: none, or one a type.
    pub(crate) fn of_key(
        &self,
        scope: AttributeScope,
        key: &str,
    ) -> impl Iterator<Item = &Arc<AttributeColumn>> {
        let found = self.by_key.get(&(scope, key.to_owned()));
        found.into_iter().flatten().map(|&at| &self.columns[at])
    }

    /// The column of this name.
    pub(crate) fn by_name(&self, name: &str) -> Option<&Arc<AttributeColumn>> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Only the columns that `keep` says, with their names.
    pub(crate) fn filtered(&self, keep: impl Fn(&AttributeColumn) -> bool) -> Self {
        let mut kept = Self::default();
        for column in self.columns.iter().filter(|column| keep(column)) {
            kept.add(Arc::clone(column));
        }
        kept
    }

    /// These columns, and those of another that are not among them. `None` when nothing is new.
    ///
    /// A column of another meaning whose name is taken here is left out: that happens only to files of another table.
    pub(crate) fn union(&self, other: &Self) -> Option<Self> {
        let mut joined = None;
        for column in &other.columns {
            let base: &Self = joined.as_ref().unwrap_or(self);
            if !base.has(column.scope, &column.key, column.kind) && base.is_free(&column.name) {
                joined
                    .get_or_insert_with(|| self.clone())
                    .add(Arc::clone(column));
            }
        }
        joined
    }

    pub(crate) fn has(&self, scope: AttributeScope, key: &str, kind: ColumnType) -> bool {
        self.of_key(scope, key).any(|column| column.kind == kind)
    }

    /// Gives a key a column, if it can have one and there is room. Says whether it has one now.
    pub(crate) fn promote(&mut self, scope: AttributeScope, key: &str, kind: ColumnType) -> bool {
        if self.has(scope, key, kind) {
            return true;
        }
        let others = self.columns.iter().filter(|column| {
            // Well-known keys first use the places that are theirs.
            !is_well_known(&column.key)
        });
        let room = self.columns.len() < COLUMNS_MAX
            && (is_well_known(key) || others.count() < COLUMNS_MAX - RESERVED);
        if !room || !is_promotable(key) {
            return false;
        }
        let other_type = self.of_key(scope, key).next().is_some();
        let name = self.free_name(scope, key, other_type.then_some(kind));
        self.add(Arc::new(AttributeColumn {
            name,
            scope,
            key: key.to_owned(),
            kind,
        }));
        true
    }

    fn add(&mut self, column: Arc<AttributeColumn>) {
        self.names.insert(column.name.to_lowercase());
        self.by_key
            .entry((column.scope, column.key.clone()))
            .or_default()
            .push(self.columns.len());
        self.columns.push(column);
    }

    fn is_free(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        !self.names.contains(&name) && !schema::is_fixed(&name)
    }

    /// A name that needs no quotes in SQL. Dots would be nicer to look at, but there are engines (DuckDB's Delta
    /// reader) that take `span.x` for a field `x` of a column `span`.
    fn free_name(&self, scope: AttributeScope, key: &str, kind: Option<ColumnType>) -> String {
        let plain = |byte: u8| {
            if byte.is_ascii_alphanumeric() {
                byte
            } else {
                b'_'
            }
        };
        let key: String = key.bytes().map(|byte| char::from(plain(byte))).collect();
        let kind = kind.map_or(String::new(), |kind| format!("_{}", kind.as_str()));
        let name = format!("{}_{key}{kind}", scope.as_str());
        if self.is_free(&name) {
            return name;
        }
        let numbered = (2..).map(|number| format!("{name}_{number}"));
        let mut free = numbered.filter(|name| self.is_free(name));
        free.next().unwrap_or(name)
    }

    /// The catalogue as a file's metadata have it.
    pub(crate) fn to_json(&self) -> String {
        let columns = self.columns.iter().map(|column| {
            json!({
                "column": column.name,
                "scope": column.scope.as_str(),
                "key": column.key,
                "type": column.kind.as_str(),
            })
        });
        Json::Array(columns.collect()).to_string()
    }

    /// What [`Catalogue::to_json`] wrote; `None` for anything else.
    pub(crate) fn from_json(text: &str) -> Option<Self> {
        let columns: Json = serde_json::from_str(text).ok()?;
        let mut catalogue = Self::default();
        for column in columns.as_array()? {
            let text = |name: &str| column[name].as_str();
            let name = text("column")?;
            if !catalogue.is_free(name) {
                return None;
            }
            catalogue.add(Arc::new(AttributeColumn {
                name: name.to_owned(),
                scope: AttributeScope::parse(text("scope")?)?,
                key: text("key")?.to_owned(),
                kind: ColumnType::parse(text("type")?)?,
            }));
        }
        Some(catalogue)
    }

    /// The columns of a schema whose metadata say what they hold.
    pub(crate) fn of_schema(schema: &Schema) -> Self {
        let mut catalogue = Self::default();
        for field in schema.fields() {
            let meta = |name: &str| field.metadata().get(name);
            let scope = meta(META_SCOPE).and_then(|scope| AttributeScope::parse(scope));
            let kind = ColumnType::of_data_type(field.data_type());
            if let (Some(scope), Some(key), Some(kind)) = (scope, meta(META_KEY), kind) {
                catalogue.add(Arc::new(AttributeColumn {
                    name: field.name().clone(),
                    scope,
                    key: key.clone(),
                    kind,
                }));
            }
        }
        catalogue
    }
}

/// Whether a key may have a column: short, and of letters that every engine's names survive.
fn is_promotable(key: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    (1..=KEY_BYTES_MAX).contains(&key.len()) && key.bytes().all(is_plain)
}

/// Whether a key is one of OpenTelemetry's conventions, by its first word.
pub(crate) fn is_well_known(key: &str) -> bool {
    const SPACES: [&str; 38] = [
        "aws",
        "az",
        "azure",
        "client",
        "cloud",
        "code",
        "container",
        "db",
        "deployment",
        "enduser",
        "error",
        "event",
        "exception",
        "faas",
        "feature_flag",
        "gcp",
        "gen_ai",
        "graphql",
        "host",
        "http",
        "k8s",
        "message",
        "messaging",
        "net",
        "network",
        "os",
        "peer",
        "process",
        "rpc",
        "server",
        "service",
        "session",
        "spanlight",
        "telemetry",
        "thread",
        "url",
        "user",
        "user_agent",
    ];
    let space = key.split_once('.').map(|(space, _)| space);
    space.is_some_and(|space| SPACES.binary_search(&space).is_ok())
}
