//! Answers that come as lines of JSON while the server works: a line for each step, and one for the end.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::failure::Failure;

/// Hands each step to `show`; returns the last line, or the failure that the server names.
///
/// `again`: whether doing it once more does harm, for those whose answer broke off.
pub(super) async fn follow<S: DeserializeOwned, L: DeserializeOwned>(
    mut response: reqwest::Response,
    again: &str,
    mut show: impl FnMut(S),
) -> Result<L, Failure> {
    let broken = |source: reqwest::Error| Failure::of("the server's answer broke off", &source);
    let mut text = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        text.extend_from_slice(&chunk);
        while let Some(end) = text.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = text.drain(..=end).collect();
            let line: Value = serde_json::from_slice(&line).map_err(|it| strange(&it))?;
            let state = State::deserialize(&line).map_err(|it| strange(&it))?;
            match state {
                State {
                    error: Some(problem),
                    ..
                } => return Err(Failure::failed(&problem.message)),
                State { done: true, .. } => return read(line),
                State { .. } => show(read(line)?),
            }
        }
    }
    let message = format!("the server's answer broke off; {again}");
    Err(Failure::failed(&message))
}

/// What every line may say.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct State {
    done: bool,
    error: Option<Problem>,
}

#[derive(Debug, Deserialize)]
struct Problem {
    message: String,
}

fn read<T: DeserializeOwned>(line: Value) -> Result<T, Failure> {
    serde_json::from_value(line).map_err(|it| strange(&it))
}

fn strange(source: &serde_json::Error) -> Failure {
    Failure::of("the server's answer is not understood", source)
}
