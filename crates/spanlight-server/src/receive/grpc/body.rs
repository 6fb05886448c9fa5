//! A request body that counts its bytes as they come, and that gives up on clients that take too long.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use futures::FutureExt as _;
use http_body::{Body as HttpBody, Frame};
use tokio::time::Sleep;
use tonic::Status;

use crate::receive::ReceiveLimits;
use crate::receive::admission::Reservation;
use crate::receive::body::check_size;
use crate::receive::refusal::Refusal;

/// gRPC requests do not announce their length, so each frame is counted when it comes.
#[derive(Debug)]
pub(crate) struct ReservingBody {
    body: Body,
    reservation: Arc<Reservation>,
    limits: ReceiveLimits,
    length: usize,
    deadline: Pin<Box<Sleep>>,
}

impl ReservingBody {
    pub(crate) fn new(body: Body, reservation: Arc<Reservation>, limits: ReceiveLimits) -> Self {
        Self {
            body,
            reservation,
            limits,
            length: 0,
            deadline: Box::pin(tokio::time::sleep(limits.read_time)),
        }
    }

    fn count(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.length += bytes;
        check_size(self.length, &self.limits)?;
        self.reservation.grow(bytes)
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
                Poll::Ready(Some(match self.count(length) {
                    Ok(()) => Ok(frame),
                    Err(refusal) => Err(refusal.grpc_status()),
                }))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(Status::cancelled(format!(
                "the body broke off: {error}"
            ))))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => match self.deadline.poll_unpin(context) {
                Poll::Ready(()) => {
                    let refusal = Refusal::too_slow(self.limits.read_time);
                    Poll::Ready(Some(Err(refusal.grpc_status())))
                }
                Poll::Pending => Poll::Pending,
            },
        }
    }
}
