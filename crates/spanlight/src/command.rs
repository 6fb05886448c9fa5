//! The commands, one a module.

mod config;
mod demo;
mod import;
mod query;
mod serve;
mod sql;
mod store;
mod trace;

use spanlight::arguments::{Arguments, Command};

use crate::failure::Failure;

/// Runs a command to its end.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let colour = arguments.color;
    match arguments.command {
        Command::Serve(serve) => serve::run(&serve, colour).await,
        Command::Demo(demo) => demo::run(&demo, colour).await,
        Command::Query(query) => query::run(&query, colour).await,
        Command::Sql(sql) => sql::run(&sql, colour).await,
        Command::Trace(trace) => trace::run(&trace, colour).await,
        Command::Import(import) => import::run(&import, colour).await,
        Command::Store(store) => store::run(&store, colour).await,
        Command::Config(config) => config::run(&config),
    }
}
