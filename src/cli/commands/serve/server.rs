//! The server: connections, requests, and the work that they ask for.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::TcpListener;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use occlude::network::INPUT_SIDE;
use occlude::{Error, GoogLeNet, Photograph, Result, memory};
use rayon::ThreadPool;
use tokio::runtime;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use super::access::{Access, Refusal};
use super::body::{Body, Kind, Later, Part, Stop};
use super::photographs::{Kept, Photographs};
use crate::cli::page::calls::{self, Answer};
use crate::cli::terminal::{interrupt, panics};

/// The interval between two checks for a signal.
const INTERVAL: Duration = Duration::from_millis(50);

/// The time in which a client must send the head of a request, or the next piece of its body.
const PATIENCE: Duration = Duration::from_secs(20);

/// The most connections at a time. More of them wait.
const CONNECTIONS: usize = 256;

/// Bytes of the head of a request, its address and its headers.
const HEAD_BYTES: usize = 16 << 10;

/// Bytes of a body other than a photograph: a map with the most positions.
const BODY_BYTES: u64 = 4 * (INPUT_SIDE * INPUT_SIDE) as u64;

const SAMPLE: &[u8] = include_bytes!("../../../../tests/data/chelsea.png");

type Answered = std::result::Result<Response<Body>, Refusal>;

pub struct Server {
    access: Access,
    page: Bytes,
    /// The photograph that is opened first.
    first: Option<Bytes>,
    net: &'static GoogLeNet,
    answers: ThreadPool,
    sweeps: ThreadPool,
    /// One sweep runs at a time, on all threads.
    turn: Arc<Semaphore>,
    photographs: Photographs,
}

/// Serves until a signal comes.
///
/// # Errors
/// [`Error::Io`] if the system refuses what a server needs.
pub fn serve(server: Arc<Server>, listener: TcpListener) -> Result<()> {
    let failed = |source| Error::Io { path: "a port".into(), action: "serve on", source };
    let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let served = runtime.block_on(accept(server, listener)).map_err(failed);
    // Sweeps that still run end with the program.
    runtime.shutdown_background();
    served
}

async fn accept(server: Arc<Server>, listener: TcpListener) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_buf_size(HEAD_BYTES);
    while interrupt::check().is_ok() {
        let accepted = timeout(INTERVAL, async {
            let connection = connections.clone().acquire_owned().await.expect("it is never closed");
            listener.accept().await.map(|(stream, _)| (stream, connection))
        });
        let (stream, connection) = match accepted.await {
            Ok(Ok(accepted)) => accepted,
            Ok(Err(_)) => {
                // Too many files are open, or the client has gone.
                sleep(INTERVAL).await;
                continue;
            }
            Err(_) => continue,
        };
        // Without it, answers are sent a little later.
        let _ = stream.set_nodelay(true);
        let server = server.clone();
        let service = service_fn(move |request| respond(server.clone(), request));
        let served = http.serve_connection(TokioIo::new(stream), service);
        tokio::spawn(async move {
            // Clients that break off or send no HTTP are not this program's errors.
            let _ = served.await;
            drop(connection);
        });
    }
    Ok(())
}

async fn respond(
    server: Arc<Server>,
    request: Request<Incoming>,
) -> std::result::Result<Response<Body>, Infallible> {
    let mut response = match server.answer(request).await {
        Ok(response) => response,
        Err(Refusal { status, text }) => {
            let mut response = answered(TEXT, text + "\n");
            *response.status_mut() = status;
            response
        }
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (CACHE_CONTROL, "no-store"),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CONTENT_SECURITY_POLICY, "frame-ancestors 'none'"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}

const TEXT: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const BYTES: &str = "application/octet-stream";

fn answered(kind: &'static str, bytes: impl Into<Bytes>) -> Response<Body> {
    with_kind(kind, Body::whole([bytes.into()]))
}

fn with_kind(kind: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

impl Server {
    /// A server of a page. `answers` and `sweeps` are the threads for single answers and for maps.
    pub fn new(
        access: Access,
        page: String,
        first: Option<Vec<u8>>,
        net: &'static GoogLeNet,
        answers: ThreadPool,
        sweeps: ThreadPool,
    ) -> Server {
        let first = first.map(Bytes::from);
        let turn = Arc::new(Semaphore::new(1));
        Server {
            access,
            page: page.into(),
            first,
            net,
            answers,
            sweeps,
            turn,
            photographs: Photographs::new(),
        }
    }

    async fn answer(self: Arc<Server>, request: Request<Incoming>) -> Answered {
        let name = self.access.check(request.uri().path(), request.headers())?.to_string();
        let file = match &*name {
            "" => Some((HTML, self.page.clone())),
            "sample" => Some((BYTES, Bytes::from_static(SAMPLE))),
            "first" => self.first.clone().map(|first| (BYTES, first)),
            _ => None,
        };
        if let Some((kind, bytes)) = file {
            return if request.method() == Method::GET {
                Ok(answered(kind, bytes))
            } else {
                Ok(allow("GET"))
            };
        }
        if !calls::NAMES.contains(&&*name) {
            return Err(Refusal::new(StatusCode::NOT_FOUND, "no function of the page has this name"));
        }
        if request.method() != Method::POST {
            return Ok(allow("POST"));
        }
        let (id, numbers) = arguments(request.uri().query().unwrap_or_default())?;
        let data = body(&name, request).await?;
        match &*name {
            "photograph" => self.open(id, numbers, data).await,
            "explain" => self.explain(id, numbers).await,
            _ => self.call(name, id, numbers, data).await,
        }
    }

    async fn open(self: Arc<Server>, id: u64, numbers: Vec<f64>, data: Vec<u8>) -> Answered {
        let answer = on_a_thread(move || {
            let open = || panics::without_message(|| calls::photograph(self.net, &numbers, &data));
            let (opened, answer) = self.answers.install(open)?;
            self.photographs.insert(id, Kept::new(opened));
            Ok(answer)
        });
        Ok(with_kind(BYTES, Part::new(Kind::Answer, answer.await?).into_body()))
    }

    async fn call(self: Arc<Server>, name: String, id: u64, numbers: Vec<f64>, data: Vec<u8>) -> Answered {
        let kept = self.photographs.find(id);
        if kept.is_none() && name != "colour_bar" {
            return Err(lost());
        }
        let answer = on_a_thread(move || {
            let opened = kept.as_ref().map(|kept| &kept.opened);
            let never = AtomicBool::new(false);
            self.answers.install(|| calls::call(opened, &name, &numbers, &data, &never, &|_, _, _| ()))
        });
        Ok(with_kind(BYTES, Part::new(Kind::Answer, answer.await?).into_body()))
    }

    /// Runs a sweep when its turn has come. It stops the sweep of the same photograph before, and stops when
    /// the client goes: hyper then drops this future, or the body that it has returned.
    async fn explain(self: Arc<Server>, id: u64, numbers: Vec<f64>) -> Answered {
        let kept = self.photographs.find(id).ok_or_else(lost)?;
        let cancel = kept.next_sweep();
        let stop = Stop(cancel.clone());
        let turn = self.turn.clone().acquire_owned().await.expect("it is never closed");
        let (sender, mut parts) = mpsc::unbounded_channel();
        spawn_blocking(move || {
            // Nobody may be there to receive it.
            let send = |part| drop(sender.send(part));
            let refined = |numbers: &[f32], done, total| {
                let answer = Answer { numbers: numbers.to_vec(), bytes: Vec::new() };
                send(Ok(Part::new(Kind::Refined { done, total }, answer)));
            };
            let run = || calls::call(Some(&kept.opened), "explain", &numbers, &[], &cancel, &refined);
            let result = self.sweeps.install(run);
            drop(turn);
            send(result.map(|answer| Part::new(Kind::Answer, answer)));
        });
        let first = parts.recv().await.ok_or_else(failed)??;
        Ok(with_kind(BYTES, Body::followed(first, Later { parts, stop })))
    }
}

/// Runs work that takes time.
async fn on_a_thread(
    run: impl FnOnce() -> Result<Answer> + Send + 'static,
) -> std::result::Result<Answer, Refusal> {
    Ok(spawn_blocking(run).await.map_err(|_| failed())??)
}

fn failed() -> Refusal {
    let text = "the program has failed here; its messages on standard error tell why";
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, text)
}

fn lost() -> Refusal {
    Refusal::new(StatusCode::GONE, "the program does not keep this photograph any more: open it again")
}

fn allow(method: &'static str) -> Response<Body> {
    let mut response = answered(TEXT, format!("expected the method {method}\n"));
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(method));
    response
}

/// The number of the photograph and the numbers of a call: `id=7&numbers=1,2.5`.
fn arguments(query: &str) -> std::result::Result<(u64, Vec<f64>), Refusal> {
    let value = |name: &str| {
        let mut values = query.split('&').filter_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        values.next().unwrap_or_default()
    };
    let wrong = |text: &str| Refusal::new(StatusCode::BAD_REQUEST, text);
    let id = value("id").parse().map_err(|_| wrong("id: expected the number of a photograph"))?;
    let numbers = value("numbers").split(',').filter(|number| !number.is_empty()).map(str::parse);
    let numbers = numbers.collect::<std::result::Result<_, _>>();
    Ok((id, numbers.map_err(|_| wrong("numbers: expected numbers with commas between them"))?))
}

/// Reads the body of a call, whose size is checked before.
async fn body(name: &str, request: Request<Incoming>) -> std::result::Result<Vec<u8>, Refusal> {
    let length = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let Some(length) = length else {
        let text = "the header Content-Length is missing";
        return Err(Refusal::new(StatusCode::LENGTH_REQUIRED, text));
    };
    let too_large = |text: String| Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, text);
    if name == "photograph" {
        Photograph::check_file_size("the photograph", length)
            .map_err(|error| too_large(error.to_string()))?;
    } else if length > BODY_BYTES {
        return Err(too_large(format!("a body of {length} bytes; expected at most {BODY_BYTES}")));
    }
    let capacity = usize::try_from(length).unwrap_or(usize::MAX);
    memory::require("the photograph", capacity)?;
    let mut bytes = Vec::with_capacity(capacity);
    let mut body = request.into_body();
    let incomplete = |_| Refusal::new(StatusCode::REQUEST_TIMEOUT, "the body of the request is incomplete");
    loop {
        let next = timeout(PATIENCE, poll_fn(|context| Pin::new(&mut body).poll_frame(context)));
        match next.await.map_err(|_| incomplete(()))? {
            None => return Ok(bytes),
            Some(frame) => {
                let data = frame.map_err(|_| incomplete(()))?.into_data();
                bytes.extend_from_slice(&data.unwrap_or_default());
            }
        }
    }
}
