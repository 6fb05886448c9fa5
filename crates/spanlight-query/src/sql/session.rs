//! What a statement may use: the views, functions that neither read files nor make much of little, and memory.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::{SessionConfig, SessionContext};

use super::columns::{UTC, ViewColumn};
use super::scan::Reading;
use super::text::Statement;
use super::view::{Kind, View};
use crate::parallel::workers;

pub(super) type Plan = Arc<dyn ExecutionPlan>;

/// Rows of a batch between operators.
const ROWS_AT_ONCE: usize = 8_192;

/// Functions that make as much text, or as long a list, as a number says, or that make texts many times as long when
/// they are nested, which no limit of memory knows of: constants are folded while planning. Of long texts `levenshtein`
/// takes the time of their product without a pause, and `arrow_cast` makes texts that may be longer than 2 GiB.
const UNBOUNDED: [&str; 15] = [
    "arrow_cast",
    "arrow_try_cast",
    "encode",
    "levenshtein",
    "regexp_replace",
    "replace",
    "translate",
    "repeat",
    "lpad",
    "rpad",
    "space",
    "array_repeat",
    "array_resize",
    "range",
    "generate_series",
];

/// A service a row.
const SERVICES: &str = "
    SELECT service, count(*) AS span_count,
        count(*) FILTER (WHERE status = 'error') AS error_count,
        avg(duration_ns) AS duration_ns_avg, max(duration_ns) AS duration_ns_max,
        min(start_time) AS first_seen, max(start_time) AS last_seen
    FROM spans GROUP BY service";

/// A session with the views in it.
pub(super) async fn open(
    memory: &Arc<dyn MemoryPool>,
    statement: &Statement,
    attributes: &[ViewColumn],
    reading: &Arc<Reading>,
) -> Result<SessionContext> {
    let context = SessionContext::new_with_state(state(memory)?);
    for kind in Kind::ALL {
        let view = View::new(kind, attributes, reading);
        context.register_table(kind.name(), Arc::new(view))?;
    }
    if statement.may_name_services {
        let services = context.sql(SERVICES).await?.into_view();
        context.register_table("services", services)?;
    }
    Ok(context)
}

fn state(memory: &Arc<dyn MemoryPool>) -> Result<SessionState> {
    let disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::clone(memory))
        .with_disk_manager_builder(disk)
        .build_arc()?;
    let mut config = SessionConfig::new()
        .with_default_catalog_and_schema("spanlight", "public")
        .with_information_schema(true)
        .with_batch_size(ROWS_AT_ONCE)
        .with_target_partitions(workers());
    let options = config.options_mut();
    options.execution.time_zone = Some(UTC.to_owned());
    options.sql_parser.collect_spans = true;
    options.sql_parser.map_string_types_to_utf8view = false;
    // It fails for `x IS NOT TRUE` in an aggregate, of which the physical plan does not know that it is never null.
    options.execution.skip_physical_aggregate_schema_check = true;
    // The views know nothing of their sizes.
    options.execution.collect_statistics = false;
    let mut builder = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_default_features();
    if let Some(functions) = builder.scalar_functions() {
        let is_bounded = |name: &str| !UNBOUNDED.contains(&name);
        functions.retain(|function| {
            is_bounded(function.name()) && function.aliases().iter().all(|it| is_bounded(it))
        });
    }
    // Files of other formats than ours are of no concern, and neither are factories of tables.
    *builder.table_factories() = None;
    *builder.file_formats() = None;
    Ok(builder.build())
}

/// The names of all functions, in their order.
pub(super) fn functions(context: &SessionContext) -> Vec<String> {
    let state = context.state();
    let scalar = state.scalar_functions().keys();
    let others = state.aggregate_functions().keys();
    let all = scalar.chain(others).chain(state.window_functions().keys());
    let all: BTreeSet<String> = all.cloned().collect();
    all.into_iter().collect()
}

/// Plans a statement that reads.
pub(super) async fn plan(context: &SessionContext, statement: Statement) -> Result<Plan> {
    let state = context.state();
    let plan = state.statement_to_plan(statement.parsed).await?;
    // The statement was looked at; this is for what may be hidden in a query.
    let reads = SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false);
    reads.verify_plan(&plan)?;
    let frame = context.execute_logical_plan(plan).await?;
    frame.create_physical_plan().await
}
