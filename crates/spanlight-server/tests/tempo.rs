//! Tempo's API over real sockets, subject by subject, in the shapes that Grafana reads strictly.

mod basics;
mod metrics;
mod streaming;
mod tags;
