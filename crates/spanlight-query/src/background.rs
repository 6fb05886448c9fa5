//! Threads for questions that look at everything. They give way to all other threads of the machine: while spans come as
//! fast as they can, such an answer may take longer, but receiving and short questions go on nearly as before. Where
//! nothing else wants the cores, nothing is slower.

use std::io;
use std::thread;

use futures::stream::{self, BoxStream, StreamExt as _};
use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};
use tokio::sync::mpsc;
use tokio::sync::oneshot::{self, error::RecvError};

/// Of 99, which is the greatest; on Linux a niceness of 10: beside one busy thread, a tenth of a core is left to it. So
/// an answer still comes on a machine that never rests.
const PRIORITY: u8 = 22;

/// Does this on a thread of its own: one that was used before could not become a common one again, as only the
/// privileged may raise a priority. What comes of it is told; when the work breaks off, that is.
pub(crate) fn spawn<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<oneshot::Receiver<T>> {
    let (done, ended) = oneshot::channel();
    let work = move || {
        give_way();
        // Nobody may wait any more.
        drop(done.send(work()));
    };
    let thread = thread::Builder::new().name("spanlight-scan".to_owned());
    thread.spawn(work).map(|_| ended)
}

/// What such work gives, until nobody looks any more: so many wait to be looked at. Where it broke off, the last says
/// so.
pub(crate) fn stream<T: Send + 'static>(
    ahead: usize,
    work: impl FnOnce(&mpsc::Sender<T>) + Send + 'static,
) -> io::Result<BoxStream<'static, Result<T, RecvError>>> {
    let (sender, receiver) = mpsc::channel(ahead);
    let ended = spawn(move || work(&sender))?;
    let next = async |(mut receiver, ended): (mpsc::Receiver<T>, Option<oneshot::Receiver<()>>)| {
        if let Some(item) = receiver.recv().await {
            return Some((Ok(item), (receiver, ended)));
        }
        let error = ended?.await.err()?;
        Some((Err(error), (receiver, None)))
    };
    Ok(stream::unfold((receiver, Some(ended)), next).boxed())
}

fn give_way() {
    let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Batch);
    if let Ok(priority) = ThreadPriorityValue::try_from(PRIORITY) {
        let priority = ThreadPriority::Crossplatform(priority);
        // Where the system refuses, it is a thread like others.
        set_thread_priority_and_policy(thread_native_id(), priority, policy).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_that_breaks_off_does_not_end_as_if_it_were_done() {
        let numbers = async |breaks_off: bool| {
            let work = move |sender: &mpsc::Sender<u8>| {
                (0..5).for_each(|number| sender.blocking_send(number).unwrap());
                assert!(!breaks_off, "broken off on purpose");
            };
            stream(2, work).unwrap().collect::<Vec<_>>().await
        };
        let all: Vec<_> = (0..5).map(Ok).collect();
        assert_eq!(numbers(false).await, all);
        let broken_off = numbers(true).await;
        assert_eq!(broken_off[..5], all);
        assert!(matches!(broken_off[5..], [Err(_)]));
    }
}
