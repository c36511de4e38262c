//! The bodies of answers: a text or a file, or parts of a format of our own, one after the other.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use hyper::body::{Bytes, Frame, SizeHint};
use occlude::{Error, Result};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::cli::page::calls::Answer;

/// A flag for a sweep, which is set when nobody waits for the sweep any more.
pub struct Stop(pub Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Gives the pieces that are ready, and then those that come later.
pub struct Body {
    ready: VecDeque<Bytes>,
    later: Option<Later>,
}

/// The parts of a sweep. The server drops the body when the client has gone.
pub struct Later {
    pub parts: UnboundedReceiver<Result<Part>>,
    #[expect(dead_code, reason = "lives as long as the body")]
    pub stop: Stop,
}

impl Body {
    pub fn whole(pieces: impl IntoIterator<Item = Bytes>) -> Body {
        Body { ready: pieces.into_iter().filter(|piece| !piece.is_empty()).collect(), later: None }
    }

    pub fn followed(first: Part, later: Later) -> Body {
        Body { later: Some(later), ..Body::whole(first.0) }
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, Infallible>>> {
        let Body { ready: pieces, later } = self.get_mut();
        if pieces.is_empty()
            && let Some(Later { parts, .. }) = later
            && let Some(part) = ready!(parts.poll_recv(context))
        {
            let failed = |error: Error| {
                Part::new(Kind::Failed, Answer { numbers: Vec::new(), bytes: error.to_string().into_bytes() })
            };
            let part = part.unwrap_or_else(failed);
            pieces.extend(part.0.into_iter().filter(|piece| !piece.is_empty()));
        }
        Poll::Ready(pieces.pop_front().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.later.is_none() && self.ready.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        match self.later {
            None => SizeHint::with_exact(self.ready.iter().map(|piece| piece.len() as u64).sum()),
            Some(_) => SizeHint::default(),
        }
    }
}

/// The kinds of parts.
#[derive(Clone, Copy)]
pub enum Kind {
    /// The result of a function, the last part.
    Answer,
    /// The map so far.
    Refined { done: usize, total: usize },
    /// The bytes are the text of an error; the last part.
    Failed,
}

/// A part: five numbers of 32 bits, which are the kind, the positions that are done, all positions, and the
/// counts of the numbers and the bytes; then the numbers, 32 bits each; then the bytes.
pub struct Part([Bytes; 2]);

impl Part {
    pub fn new(kind: Kind, Answer { numbers, bytes }: Answer) -> Part {
        let (code, done, total) = match kind {
            Kind::Answer => (0, 0, 0),
            Kind::Refined { done, total } => (1, done, total),
            Kind::Failed => (2, 0, 0),
        };
        let head = [code, done, total, numbers.len(), bytes.len()];
        let head = head.into_iter().flat_map(|number| (number as u32).to_le_bytes());
        let numbers = numbers.iter().flat_map(|number| number.to_le_bytes());
        Part([head.chain(numbers).collect(), bytes.into()])
    }

    pub fn into_body(self) -> Body {
        Body::whole(self.0)
    }
}
