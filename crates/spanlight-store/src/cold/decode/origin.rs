//! Where spans come from: resources and scopes read back.

use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::Int32Type;
use arrow_array::{Array as _, ArrayRef, DictionaryArray, Int32Array};
use spanlight_model::schema::Column;
use spanlight_model::{SpanBatchBuilder, convention};

use super::attributes::ValueColumn;
use super::{DecodeError, Rows, dictionary_values, value_error};
use crate::cold::catalogue::AttributeScope;
use crate::cold::json::Parsed;
use crate::cold::schema as table;

impl Rows<'_> {
    /// Resources from their text, or from what was read of them: the service's name, and columns of some keys.
    pub(super) fn resources(&self) -> Result<ArrayRef, DecodeError> {
        let Some(texts) = self.texts(table::RESOURCE)? else {
            return self.partial_resources();
        };
        let mut builder = SpanBatchBuilder::new(0);
        // Of a long dictionary few rows may be left.
        let (keys, used) = used_codes(&texts);
        let values = dictionary_values(table::RESOURCE, &texts)?;
        for code in used {
            let parsed = parse(table::RESOURCE, values.value(code))?;
            let mut row = builder.begin_resource();
            parsed
                .push_attributes(&mut row.attributes())
                .map_err(value_error(table::RESOURCE))?;
            row.set_schema_url(parsed.text("schemaUrl"));
            row.set_dropped_attributes_count(parsed.dropped_attributes_count());
            let _ = row.commit();
        }
        dictionary(keys, builder, Column::Resource)
    }

    fn partial_resources(&self) -> Result<ArrayRef, DecodeError> {
        let services = self.column(table::SERVICE_NAME);
        let mut columns = Vec::new();
        if let Some(services) = services {
            columns.push((
                convention::SERVICE_NAME,
                ValueColumn::texts(table::SERVICE_NAME, services)?,
            ));
        }
        for column in self.catalogue.columns() {
            let array = self.column(&column.name);
            if let Some(array) = array.filter(|_| column.scope == AttributeScope::Resource) {
                columns.push((column.key.as_str(), ValueColumn::of(column.kind, array)?));
            }
        }
        if columns.is_empty() {
            return Ok(self.blank(Column::Resource));
        }
        let mut builder = SpanBatchBuilder::new(0);
        let mut keys = vec![0; self.len()];
        for (_, column) in &columns {
            column.refine(&mut keys);
        }
        // Keys count up in the order in which they come.
        let mut count = 0;
        for (row, key) in keys.iter().enumerate() {
            if *key < count {
                continue;
            }
            count += 1;
            let mut resource = builder.begin_resource();
            for (key, column) in &columns {
                if let Some(value) = column.value(row) {
                    resource.attributes().push(key, value);
                }
            }
            let _ = resource.commit();
        }
        dictionary(keys.into(), builder, Column::Resource)
    }

    pub(super) fn scopes(&self) -> Result<ArrayRef, DecodeError> {
        let Some(texts) = self.texts(table::SCOPE)? else {
            return Ok(self.blank(Column::Scope));
        };
        let mut builder = SpanBatchBuilder::new(0);
        let (keys, used) = used_codes(&texts);
        let values = dictionary_values(table::SCOPE, &texts)?;
        for code in used {
            let parsed = parse(table::SCOPE, values.value(code))?;
            let mut row = builder.begin_scope();
            row.set_name(parsed.text("name"));
            row.set_version(parsed.text("version"));
            row.set_schema_url(parsed.text("schemaUrl"));
            row.set_dropped_attributes_count(parsed.dropped_attributes_count());
            parsed
                .push_attributes(&mut row.attributes())
                .map_err(value_error(table::SCOPE))?;
            let _ = row.commit();
        }
        dictionary(keys, builder, Column::Scope)
    }
}

/// Codes that count only what is used, and what they stand for.
fn used_codes(texts: &DictionaryArray<Int32Type>) -> (Int32Array, Vec<usize>) {
    let mut codes = vec![-1; texts.values().len()];
    let mut used = Vec::new();
    let keys = texts.keys().values().iter().map(|&key| {
        let code = &mut codes[key as usize];
        if *code < 0 {
            *code = used.len() as i32;
            used.push(key as usize);
        }
        *code
    });
    (Int32Array::from_iter_values(keys), used)
}

fn parse(column: &'static str, text: &str) -> Result<Parsed, DecodeError> {
    Parsed::of(text).map_err(value_error(column))
}

/// A dictionary column whose values are the resources or scopes of a builder without spans.
fn dictionary(
    keys: Int32Array,
    builder: SpanBatchBuilder,
    column: Column,
) -> Result<ArrayRef, DecodeError> {
    let built = builder.finish()?;
    let values = values(built.column(column));
    Ok(Arc::new(DictionaryArray::try_new(keys, values)?))
}

/// The distinct values of a dictionary column.
pub(super) fn values(array: &ArrayRef) -> ArrayRef {
    Arc::clone(array.as_any_dictionary().values())
}
