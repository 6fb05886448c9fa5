//! What users do: requests that are new, repeated or added to, several at once, and some who do not wait for the answer.

use futures::future::{join_all, maybe_done};
use rand::Rng as _;
use rand::rngs::SmallRng;
use std::future::Future;
use std::time::Duration;

use super::super::spans::{self, Key, Record};
use super::{HOUR, REMEMBERED, SECOND, World, policy};

impl World {
    /// What a client sends: new spans, spans of an old trace, an old request again, an old span with more in it.
    pub(super) fn request(&mut self, random: &mut SmallRng) -> Vec<Record> {
        let received = self.now();
        let old = (!self.requests.is_empty()).then(|| {
            let position = random.random_range(0..self.requests.len());
            self.requests[position].clone()
        });
        let kind = random.random_range(0..10);
        let request = match (kind, old) {
            // The very same bytes, received at another time: or not at another.
            (0, Some(old)) if random.random_bool(0.5) => return old,
            (0..=2, Some(old)) => old
                .into_iter()
                .map(|record| {
                    self.records += 1;
                    Record {
                        number: self.records,
                        received,
                        end: record.end + random.random_range(0..2) * SECOND,
                        ..record
                    }
                })
                .collect(),
            (3, Some(old)) => {
                let trace = old[0].key.trace;
                self.new_records(trace, received, random)
            }
            _ => {
                self.traces += 1;
                let trace = self.traces;
                self.new_records(trace, received, random)
            }
        };
        if self.requests.len() == REMEMBERED {
            self.requests.remove(0);
        }
        self.requests.push(request.clone());
        request
    }

    pub(super) fn new_records(
        &mut self,
        trace: u64,
        received: i64,
        random: &mut SmallRng,
    ) -> Vec<Record> {
        let count = random.random_range(1..6);
        let records = (0..count).map(|_| {
            self.records += 1;
            let start = match random.random_range(0..20) {
                0 => 0,
                1 => received + 1_000 * HOUR,
                _ => received - random.random_range(0..100 * SECOND),
            };
            Record {
                number: self.records,
                key: Key {
                    trace,
                    span: self.records,
                    is_server: random.random_bool(0.5),
                },
                received,
                start,
                end: start + random.random_range(0..10 * SECOND),
            }
        });
        records.collect()
    }

    pub(super) fn send(&mut self, records: &[Record]) -> spanlight_model::SpanBatch {
        let batch = spans::batch(self.seed, records);
        let texts = (0..batch.num_spans()).map(|row| spans::describe(&batch.span(row)));
        self.model.send(records, texts.collect());
        if !self.options.sampling.keeps_all() {
            self.model
                .release(&|record| policy::drops(spans::trace_id(record.key.trace)));
        }
        batch
    }

    pub(super) async fn append(&mut self, random: &mut SmallRng) {
        let Some(store) = self.store.clone() else {
            return;
        };
        let writers = random.random_range(1..4);
        let requests: Vec<_> = (0..writers).map(|_| self.request(random)).collect();
        let batches: Vec<_> = requests.iter().map(|request| self.send(request)).collect();
        let appends = batches.into_iter().map(|batch| store.append(batch));
        let answers = self.at_once(appends.collect()).await;
        drop(store);
        for (request, answer) in requests.iter().zip(answers) {
            match answer {
                Ok(()) => self.model.acknowledge(request),
                Err(error) => {
                    self.note(&format!("     {error}"));
                    assert!(self.may_fail(), "an append failed: {error}");
                    self.model.refuse(request);
                }
            }
        }
        self.check("everything, after an append").await;
    }

    /// Does these things at once, in an order that is the same in each run: the first goes ahead, the others wait in
    /// the queue until it is on its way to the disk.
    pub(super) async fn at_once<F: Future>(&self, work: Vec<F>) -> Vec<F::Output> {
        self.disk.close_gate_after(0);
        let mut work: Vec<_> = work
            .into_iter()
            .map(|future| Box::pin(maybe_done(future)))
            .collect();
        for (position, future) in work.iter_mut().enumerate() {
            if position == 0 {
                self.until_gate(future).await;
            } else {
                futures::poll!(future).is_ready();
            }
        }
        self.disk.open_gate();
        join_all(work.iter_mut()).await;
        let outputs = work.iter_mut().map(|future| future.as_mut().take_output());
        outputs.map(Option::unwrap).collect()
    }

    /// Polls until it is done, or waits for the disk.
    pub(super) async fn until_gate(&self, future: &mut (impl Future + Unpin)) {
        while futures::poll!(&mut *future).is_pending() && self.disk.at_gate().is_none() {
            tokio::time::sleep(Duration::from_micros(50)).await;
        }
    }

    pub(super) async fn append_and_leave(&mut self, random: &mut SmallRng) {
        let Some(store) = self.store.clone() else {
            return;
        };
        let request = self.request(random);
        let batch = self.send(&request);
        self.disk.close_gate_after(0);
        {
            let mut append = Box::pin(store.append(batch));
            self.until_gate(&mut append).await;
        }
        self.check("everything, while nobody waits for an append")
            .await;
        self.disk.open_gate();
        self.check("everything, after a client that left").await;
    }
}
