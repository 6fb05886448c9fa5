//! Where spans come from, being filled: a resource, an instrumentation scope. Dropped without commit, their attributes
//! are taken back by the next of their kind.

use super::row::AttributeSink;
use super::{ResourceIndex, ScopeIndex, SpanBatchBuilder};
use crate::convention::SERVICE_NAME;

/// A resource that is being filled.
#[derive(Debug)]
pub struct ResourceRow<'a> {
    builder: &'a mut SpanBatchBuilder,
    schema_url: String,
    dropped_attributes_count: u32,
}

impl<'a> ResourceRow<'a> {
    pub(super) fn new(builder: &'a mut SpanBatchBuilder) -> Self {
        // What an abandoned row left open.
        let rows = builder.resources.schema_urls.len();
        builder.resources.attributes.truncate(rows);
        Self {
            builder,
            schema_url: String::new(),
            dropped_attributes_count: 0,
        }
    }

    /// Where the resource's attributes go.
    pub fn attributes(&mut self) -> AttributeSink<'_> {
        AttributeSink {
            lists: &mut self.builder.resources.attributes,
        }
    }

    /// Sets the schema that the resource's attributes follow.
    pub fn set_schema_url(&mut self, url: &str) {
        url.clone_into(&mut self.schema_url);
    }

    /// Sets how many attributes were dropped before they reached us.
    pub fn set_dropped_attributes_count(&mut self, count: u32) {
        self.dropped_attributes_count = count;
    }

    /// Makes the row a resource that spans can name.
    #[must_use]
    pub fn commit(self) -> ResourceIndex {
        let resources = &mut self.builder.resources;
        let index = ResourceIndex(resources.schema_urls.len() as i32);
        resources
            .service_names
            .push(resources.attributes.open_string(SERVICE_NAME));
        resources
            .dropped_attributes_counts
            .push(self.dropped_attributes_count);
        resources.schema_urls.push(self.schema_url);
        resources.attributes.close();
        index
    }
}

/// An instrumentation scope that is being filled.
#[derive(Debug)]
pub struct ScopeRow<'a> {
    builder: &'a mut SpanBatchBuilder,
    name: String,
    version: String,
    schema_url: String,
    dropped_attributes_count: u32,
}

impl<'a> ScopeRow<'a> {
    pub(super) fn new(builder: &'a mut SpanBatchBuilder) -> Self {
        // What an abandoned row left open.
        let rows = builder.scopes.names.len();
        builder.scopes.attributes.truncate(rows);
        Self {
            builder,
            name: String::new(),
            version: String::new(),
            schema_url: String::new(),
            dropped_attributes_count: 0,
        }
    }

    /// Sets the name.
    pub fn set_name(&mut self, name: &str) {
        name.clone_into(&mut self.name);
    }

    /// Sets the version.
    pub fn set_version(&mut self, version: &str) {
        version.clone_into(&mut self.version);
    }

    /// Sets the schema that the scope's spans follow.
    pub fn set_schema_url(&mut self, url: &str) {
        url.clone_into(&mut self.schema_url);
    }

    /// Sets how many attributes were dropped before they reached us.
    pub fn set_dropped_attributes_count(&mut self, count: u32) {
        self.dropped_attributes_count = count;
    }

    /// Where the scope's attributes go.
    pub fn attributes(&mut self) -> AttributeSink<'_> {
        AttributeSink {
            lists: &mut self.builder.scopes.attributes,
        }
    }

    /// Makes the row a scope that spans can name.
    #[must_use]
    pub fn commit(self) -> ScopeIndex {
        let scopes = &mut self.builder.scopes;
        let index = ScopeIndex(scopes.names.len() as i32);
        scopes.names.push(self.name);
        scopes.versions.push(self.version);
        scopes
            .dropped_attributes_counts
            .push(self.dropped_attributes_count);
        scopes.schema_urls.push(self.schema_url);
        scopes.attributes.close();
        index
    }
}
