//! Metrics that are read when somebody asks: what the store counts, and what is in flight.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use spanlight_store::{
    CacheStatistics, ColdStatistics, ExpiredStatistics, FlushStatistics, HotStatistics,
    LogStatistics, RecentStatistics, SealStatistics, Store,
};

use crate::receive::Admission;

#[derive(Debug)]
pub(crate) struct Present {
    store: Store,
    admission: Arc<Admission>,
}

impl Present {
    pub(crate) fn new(store: Store, admission: Arc<Admission>) -> Self {
        Self { store, admission }
    }
}

impl Collector for Present {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut out = Writer { encoder };
        let health = self.store.health();
        out.info()?;
        out.gauge(
            "in_flight_bytes",
            "Bytes of requests being received",
            self.admission.used() as u64,
        )?;
        out.gauge(
            "store_writable",
            "1 when the log takes spans",
            u64::from(health.is_writable()),
        )?;
        out.gauge(
            "store_cold_reachable",
            "0 while the object store of the table does not answer",
            u64::from(health.cold_outage.is_none()),
        )?;
        let statistics = self.store.statistics();
        out.hot(&statistics.hot)?;
        out.log(&statistics.log)?;
        out.cold(&statistics.cold)?;
        out.expired(&statistics.expired)?;
        out.recent(&statistics.recent)?;
        out.seal(&statistics.seal)?;
        out.cache(&statistics.cache)?;
        out.flush(&statistics.flush)?;
        out.gauge(
            "store_damaged_records",
            "Records of the log that recovery could not read",
            statistics.damage.records,
        )?;
        out.gauge(
            "store_unreadable_files",
            "Data files that were found damaged or missing, and are so still",
            health.unreadable.len() as u64,
        )?;
        out.gauge(
            "store_cut_bytes",
            "Bytes at the end of the log that a crash left unfinished; they were never acknowledged",
            statistics.damage.cut_bytes,
        )
    }
}

struct Writer<'a> {
    encoder: DescriptorEncoder<'a>,
}

impl Writer<'_> {
    fn write(&mut self, name: &str, help: &str, metric: &impl EncodeMetric) -> fmt::Result {
        let metric_encoder =
            self.encoder
                .encode_descriptor(name, help, None, metric.metric_type())?;
        metric.encode(metric_encoder)
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        // Beyond i64 nothing here counts.
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        self.write(name, help, &ConstGauge::new(value))
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.write(name, help, &ConstCounter::new(value))
    }

    fn seconds(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        self.write(name, help, &ConstCounter::new(value))
    }

    fn info(&mut self) -> fmt::Result {
        let labels = vec![("version", env!("CARGO_PKG_VERSION"))];
        self.write("build", "The program", &Info::new(labels))
    }

    fn hot(&mut self, hot: &HotStatistics) -> fmt::Result {
        self.gauge("store_hot_spans", "Spans in the hot tier", hot.spans)?;
        self.gauge("store_hot_bytes", "Memory of the hot tier", hot.bytes)?;
        self.gauge(
            "store_hot_limit_bytes",
            "Memory that the hot tier may take",
            hot.bytes_max,
        )
    }

    fn log(&mut self, log: &LogStatistics) -> fmt::Result {
        self.gauge(
            "store_log_segments",
            "Files of the write-ahead log",
            log.segments,
        )?;
        self.gauge("store_log_bytes", "Bytes of the write-ahead log", log.bytes)?;
        self.gauge(
            "store_log_queued_bytes",
            "Bytes that wait to be written to the log",
            log.queued_bytes,
        )?;
        self.counter(
            "store_log_appended_spans",
            "Spans written to the log and synced",
            log.appended_spans,
        )?;
        self.counter(
            "store_log_appended_bytes",
            "Bytes written to the log and synced",
            log.appended_bytes,
        )?;
        self.counter("store_log_syncs", "Syncs of the log", log.syncs)?;
        self.seconds(
            "store_log_sync_seconds",
            "Time spent in syncs of the log",
            log.sync_time.as_secs_f64(),
        )?;
        self.counter(
            "store_log_failures",
            "Writes and syncs of the log that failed",
            log.failures,
        )
    }

    fn cold(&mut self, cold: &ColdStatistics) -> fmt::Result {
        self.gauge("store_cold_files", "Data files of the table", cold.files)?;
        self.gauge(
            "store_footer_bytes",
            "Bytes in memory of the footers, indexes and filters of data files",
            cold.footer_bytes,
        )?;
        self.gauge("store_cold_bytes", "Bytes of the table", cold.bytes)?;
        self.gauge("store_cold_spans", "Spans in the table", cold.spans)
    }

    fn expired(&mut self, expired: &ExpiredStatistics) -> fmt::Result {
        self.counter(
            "store_expired_files",
            "Files that left the table",
            expired.files,
        )?;
        self.counter(
            "store_spans_expired_by_age",
            "Spans deleted beyond storage.retention",
            expired.spans_by_age,
        )?;
        self.counter(
            "store_spans_expired_by_disk",
            "Spans deleted beyond storage.max_disk",
            expired.spans_by_disk,
        )?;
        self.counter(
            "store_spans_expired_by_service",
            "Spans deleted beyond storage.service_retention",
            expired.spans_by_service,
        )
    }

    fn recent(&mut self, recent: &RecentStatistics) -> fmt::Result {
        self.gauge(
            "store_recent_files",
            "Files of the recent level",
            recent.files,
        )?;
        self.gauge(
            "store_recent_bytes",
            "Bytes of the recent level",
            recent.bytes,
        )?;
        self.gauge(
            "store_recent_limit_bytes",
            "Bytes that the recent level may take",
            recent.bytes_max,
        )?;
        self.gauge(
            "store_recent_spans",
            "Spans in the recent level",
            recent.spans,
        )
    }

    fn seal(&mut self, seal: &SealStatistics) -> fmt::Result {
        self.counter(
            "store_sealed_files",
            "Files made of spans in memory",
            seal.files,
        )?;
        self.counter(
            "store_seal_failures",
            "Moves from memory to files that failed",
            seal.failures,
        )?;
        self.counter(
            "store_sealed_spans",
            "Spans moved from memory to files",
            seal.spans,
        )?;
        self.counter(
            "store_sealed_bytes",
            "Bytes of files made of spans in memory",
            seal.bytes,
        )?;
        self.counter(
            "store_repeated_spans",
            "Spans that were repeats of others when they were moved",
            seal.repeated_spans,
        )
    }

    fn cache(&mut self, cache: &CacheStatistics) -> fmt::Result {
        self.gauge(
            "store_cache_bytes",
            "Bytes of a remote table that are kept here",
            cache.bytes,
        )?;
        self.gauge(
            "store_cache_limit_bytes",
            "Bytes that they may take",
            cache.bytes_max,
        )?;
        self.counter(
            "store_cache_hits",
            "Blocks of remote files that were here",
            cache.hits,
        )?;
        self.counter(
            "store_cache_misses",
            "Blocks of remote files that were fetched",
            cache.misses,
        )?;
        self.counter(
            "store_cache_evictions",
            "Blocks of remote files that made room for others",
            cache.evictions,
        )
    }

    fn flush(&mut self, flush: &FlushStatistics) -> fmt::Result {
        self.counter(
            "store_flushes",
            "Moves from the recent level to the table that were committed",
            flush.commits,
        )?;
        self.counter(
            "store_flush_failures",
            "Moves from the recent level to the table that failed",
            flush.failures,
        )?;
        self.counter(
            "store_flushed_spans",
            "Spans moved from the recent level to the table",
            flush.spans,
        )
    }
}
