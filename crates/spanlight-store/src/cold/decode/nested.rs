//! Events and links, read back.

use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::{Array as _, ArrayRef, ListArray, StructArray};
use arrow_schema::DataType;
use spanlight_model::schema::{Column, event_fields, link_fields, schema};

use super::attributes::attribute_lists;
use super::{DecodeError, Rows, counts, ids, integer_column, texts};
use crate::cold::schema as table;

impl Rows<'_> {
    pub(super) fn events(&self) -> Result<ArrayRef, DecodeError> {
        self.list(table::EVENTS, Column::Events, |entries| {
            let columns: Vec<ArrayRef> = vec![
                Arc::clone(entries.field("time_unix_nano")?),
                Arc::new(texts(table::EVENTS, entries.field("name")?)?),
                entries.attributes()?,
                entries.counts("dropped_attributes_count")?,
            ];
            Ok(StructArray::try_new(event_fields(), columns, None)?)
        })
    }

    pub(super) fn links(&self) -> Result<ArrayRef, DecodeError> {
        self.list(table::LINKS, Column::Links, |entries| {
            let columns: Vec<ArrayRef> = vec![
                entries.ids("trace_id", 16)?,
                entries.ids("span_id", 8)?,
                entries.strings("trace_state")?,
                entries.attributes()?,
                entries.counts("dropped_attributes_count")?,
                entries.counts("flags")?,
            ];
            Ok(StructArray::try_new(link_fields(), columns, None)?)
        })
    }

    fn list(
        &self,
        name: &'static str,
        column: Column,
        convert: impl FnOnce(Entries<'_>) -> Result<StructArray, DecodeError>,
    ) -> Result<ArrayRef, DecodeError> {
        let Some(array) = self.column(name) else {
            return Ok(self.blank(column));
        };
        let list: &ListArray = array.as_list_opt().ok_or(DecodeError::Column(name))?;
        if list.values().is_empty() {
            return Ok(self.blank(column));
        }
        let entries = list.values().as_struct_opt();
        let entries = entries.ok_or(DecodeError::Column(name))?;
        let values = convert(Entries { name, entries })?;
        let schema = schema();
        let DataType::List(item) = schema.field(column as usize).data_type() else {
            return Err(DecodeError::Column(name));
        };
        Ok(Arc::new(ListArray::try_new(
            Arc::clone(item),
            list.offsets().clone(),
            Arc::new(values),
            None,
        )?))
    }
}

/// The elements of a column's lists.
struct Entries<'a> {
    name: &'static str,
    entries: &'a StructArray,
}

impl<'a> Entries<'a> {
    fn field(&self, name: &str) -> Result<&'a ArrayRef, DecodeError> {
        let field = self.entries.column_by_name(name);
        field.ok_or(DecodeError::Column(self.name))
    }

    fn attributes(&self) -> Result<ArrayRef, DecodeError> {
        let list = self.field("attributes")?.as_list_opt();
        let list = attribute_lists(list.ok_or(DecodeError::Column(self.name))?)?;
        Ok(Arc::new(list))
    }

    fn counts(&self, name: &str) -> Result<ArrayRef, DecodeError> {
        let array = integer_column(self.field(name)?, self.name)?;
        Ok(Arc::new(counts(array)))
    }

    fn ids(&self, name: &str, width: i32) -> Result<ArrayRef, DecodeError> {
        let array = self.field(name)?.as_binary_opt::<i32>();
        let array = array.ok_or(DecodeError::Column(self.name))?;
        Ok(Arc::new(ids(self.name, array, width)?))
    }

    fn strings(&self, name: &str) -> Result<ArrayRef, DecodeError> {
        let texts = texts(self.name, self.field(name)?)?;
        let values = super::dictionary_values(self.name, &texts)?;
        let rows = texts.keys().iter().map(|key| match key {
            Some(key) => values.value(key as usize),
            None => "",
        });
        let rows: arrow_array::StringArray = arrow_array::StringArray::from_iter_values(rows);
        Ok(Arc::new(rows))
    }
}
