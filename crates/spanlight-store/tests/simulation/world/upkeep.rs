//! What moves spans from level to level: seal, flush, join and maintain, also while others append and ask.

use rand::Rng as _;
use rand::rngs::SmallRng;
use std::time::Duration;

use super::{End, World};

impl World {
    pub(super) async fn seal(&mut self) {
        let Some(store) = self.store.clone() else {
            return;
        };
        let done = store.seal().await;
        drop(store);
        self.after("a seal", done).await;
    }

    pub(super) async fn flush(&mut self) {
        let Some(store) = self.store.clone() else {
            return;
        };
        let done = store.flush().await;
        drop(store);
        self.after("a flush", done).await;
    }

    /// What failed had a reason to; either way everything is still there.
    async fn after(&mut self, what: &str, done: Result<(), impl std::fmt::Display>) {
        if let Err(error) = done {
            self.note(&format!("     {error}"));
            assert!(self.may_fail(), "{what} failed: {error}");
        }
        self.check(&format!("everything, after {what}")).await;
    }

    /// A flush that stands still at one of its operations, while others append and ask.
    pub(super) async fn slow_flush(&mut self, random: &mut SmallRng) {
        let Some(store) = self.store.clone() else {
            return;
        };
        self.disk.close_gate_after(random.random_range(0..16));
        let flush = tokio::spawn({
            let store = store.clone();
            async move { store.flush().await }
        });
        while self.disk.at_gate().is_none() && !flush.is_finished() {
            tokio::time::sleep(Duration::from_micros(100)).await;
        }
        self.check("everything, during a flush").await;
        let is_log_waiting = match self.disk.at_gate() {
            Some(path) => path.starts_with("/data/log"),
            None => {
                self.disk.open_gate();
                false
            }
        };
        let request = self.request(random);
        let batch = self.send(&request);
        let append = tokio::spawn(async move { store.append(batch).await });
        if !is_log_waiting {
            while !append.is_finished() {
                tokio::time::sleep(Duration::from_micros(100)).await;
            }
        }
        self.check("everything, during a flush and an append").await;
        let power_goes = random.random_bool(0.2) && self.end.is_none();
        if power_goes {
            let seed = random.random();
            self.end = Some(End::PowerCut { seed });
            self.disk.pull_plug_after(0);
        }
        self.disk.open_gate();
        let flushed = flush.await.unwrap();
        assert!(
            flushed.is_ok() || self.may_fail(),
            "a flush failed: {flushed:?}"
        );
        match append.await.unwrap() {
            Ok(()) => self.model.acknowledge(&request),
            Err(error) => {
                assert!(self.may_fail(), "an append failed: {error}");
                self.model.refuse(&request);
            }
        }
        self.check("everything, after a slow flush").await;
    }

    /// Files of the table become fewer.
    pub(super) async fn join(&mut self) {
        let Some(store) = self.store.clone() else {
            return;
        };
        let mut joined = 0;
        let done = store.compact(|step| joined += step.files).await;
        self.note(&format!("     {joined} files joined"));
        if let Err(error) = done {
            self.note(&format!("     {error}"));
            let is_explained = self.may_fail() || !self.damaged_files.is_empty();
            assert!(is_explained, "files were not joined: {error}");
        }
        drop(store);
        self.check("everything, after joining files").await;
    }

    pub(super) async fn maintain(&mut self) {
        let Some(store) = self.store.clone() else {
            return;
        };
        self.age();
        store.maintain().await;
        drop(store);
        self.check("everything, after maintenance").await;
    }
}
