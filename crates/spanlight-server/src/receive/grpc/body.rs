//! A request body that counts its bytes as they come, and that gives up on clients that take too long.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures::FutureExt as _;
use http_body::{Body as HttpBody, Frame};
use tokio::time::Sleep;
use tonic::Status;

use crate::receive::admission::Reservation;
use crate::receive::refusal::Refusal;

/// gRPC requests do not announce their length, so each frame is counted when it comes.
#[derive(Debug)]
pub(crate) struct ReservingBody {
    body: Body,
    reservation: Arc<Reservation>,
    deadline: Pin<Box<Sleep>>,
    read_time: Duration,
}

impl ReservingBody {
    pub(crate) fn new(body: Body, reservation: Arc<Reservation>, read_time: Duration) -> Self {
        Self {
            body,
            reservation,
            deadline: Box::pin(tokio::time::sleep(read_time)),
            read_time,
        }
    }

    fn too_slow(&self) -> Status {
        Refusal::TooSlow(format!(
            "the request did not arrive within {} (limits.request_read_time)",
            crate::config::write_duration(self.read_time)
        ))
        .grpc_status()
    }
}

impl HttpBody for ReservingBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                let length = frame.data_ref().map_or(0, Bytes::len);
                Poll::Ready(Some(match self.reservation.grow(length) {
                    Ok(()) => Ok(frame),
                    Err(refusal) => Err(refusal.grpc_status()),
                }))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(Status::cancelled(format!(
                "the body broke off: {error}"
            ))))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => match self.deadline.poll_unpin(context) {
                Poll::Ready(()) => Poll::Ready(Some(Err(self.too_slow()))),
                Poll::Pending => Poll::Pending,
            },
        }
    }
}
