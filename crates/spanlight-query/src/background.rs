//! Threads for questions that look at everything. They give way to all other threads of the machine: while spans come as
//! fast as they can, such an answer may take longer, but receiving and short questions go on nearly as before. Where
//! nothing else wants the cores, nothing is slower.

use std::io;
use std::thread;

use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

/// Of 99, which is the greatest; on Linux a niceness of 10: beside one busy thread, a tenth of a core is left to it. So
/// an answer still comes on a machine that never rests.
const PRIORITY: u8 = 22;

/// Does this on a thread of its own: one that was used before could not become a common one again, as only the
/// privileged may raise a priority.
pub(crate) fn spawn(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let work = move || {
        give_way();
        work();
    };
    let thread = thread::Builder::new().name("spanlight-scan".to_owned());
    thread.spawn(work).map(drop)
}

fn give_way() {
    let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Batch);
    if let Ok(priority) = ThreadPriorityValue::try_from(PRIORITY) {
        let priority = ThreadPriority::Crossplatform(priority);
        // Where the system refuses, it is a thread like others.
        set_thread_priority_and_policy(thread_native_id(), priority, policy).ok();
    }
}
