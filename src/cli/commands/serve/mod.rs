//! `occlude serve`: the page on a port of this machine, with the network behind it.

mod access;
mod body;
mod photographs;
mod server;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use occlude::weights::Source;
use occlude::{Error, GoogLeNet, Photograph, Result};
use serde::Serialize;

use crate::cli::args::{Common, Serve};
use crate::cli::explanation::Session;
use crate::cli::output::report::escape::script_data;
use crate::cli::output::report::template::filled;
use crate::cli::page::{calls, text};
use crate::cli::source;
use crate::cli::terminal::interrupt::DeferredSignals;
use crate::cli::terminal::threads::pool;
use crate::cli::terminal::{console, panics};
use access::Access;
use server::Server;

const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'";

const WHERE: &str = "The program <code>occlude serve</code> computes everything. Photographs are sent to it and to nobody else.";

/// The facts that the page's script shows and uses.
#[derive(Serialize)]
struct Facts<'a> {
    version: &'static str,
    network: &'a str,
    /// The value of `--weights` for this network.
    weights: String,
    /// Other options about the network.
    more: Vec<[String; 2]>,
    weights_sha256: &'a str,
    isa: String,
    threads: usize,
    labels: Vec<&'a str>,
    /// The photograph that is opened first, as it was named; none for the sample.
    photograph: Option<String>,
    /// An index of [`calls::RESIZES`].
    resize: usize,
}

pub fn run(common: &Common, args: &Serve) -> Result<ExitCode> {
    let asked = SocketAddr::new(args.address, args.port);
    let listener = listen(asked)?;
    let address = listener.local_addr().map_err(|error| cannot_listen(asked, error))?;
    let first = args.image.as_deref().map(photograph).transpose()?;
    // A sweep keeps all threads of a pool at work; the mask that is dragged meanwhile does not wait for it.
    let [answers, sweeps] = [pool(args.pool.threads)?, pool(args.pool.threads)?];
    let session = answers.install(|| Session::open(common))?;
    let threads = answers.current_num_threads();
    let page = page(common, args, &session, threads);
    // The network is there as long as the program.
    let net: &'static GoogLeNet = Box::leak(Box::new(session.net));
    let access = Access::new(address)?;
    let url = access.url();
    if !address.ip().is_loopback() {
        console::print_note(
            "warning: everyone who can reach this address and knows the line below can use this program, \
             and what is sent is not encrypted",
        );
    }
    let _deferred = DeferredSignals::new();
    console::print(&format!("{url}\n"))?;
    let server = Server::new(access, page, first, net, answers, sweeps);
    server::serve(Arc::new(server), listener)?;
    Ok(ExitCode::SUCCESS)
}

fn listen(address: SocketAddr) -> Result<TcpListener> {
    let listener = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    listener.map_err(|error| cannot_listen(address, error))
}

fn cannot_listen(address: SocketAddr, error: io::Error) -> Error {
    let advice = match error.kind() {
        io::ErrorKind::AddrInUse => "; name another --port, or none for any that is free",
        io::ErrorKind::AddrNotAvailable => "; --address must be an address of this machine",
        io::ErrorKind::PermissionDenied => {
            "; ports below 1024 are for the administrator: name another --port"
        }
        _ => "",
    };
    let source = io::Error::new(error.kind(), format!("{error}{advice}"));
    Error::Io { path: address.to_string().into(), action: "listen on", source }
}

/// The bytes of a photograph, which is decoded once to see whether it can be.
fn photograph(image: &Path) -> Result<Vec<u8>> {
    let bytes = source::read_photograph(image)?;
    panics::without_message(|| Photograph::from_bytes(&source::shown(image), &bytes))?;
    Ok(bytes)
}

/// The page with the facts about this program.
fn page(common: &Common, args: &Serve, session: &Session, threads: usize) -> String {
    let labels = &session.labels;
    let named = |path: &PathBuf| ["--labels".to_string(), path.to_string_lossy().into_owned()];
    let transform = |on| ["--transform-input", if on { "on" } else { "off" }].map(str::to_string);
    let more = common.labels.iter().map(named).chain(common.transform_input.map(transform));
    let facts = Facts {
        version: env!("CARGO_PKG_VERSION"),
        network: &session.network,
        weights: match &session.weights_source {
            Source::File(path) => path.to_string_lossy().into_owned(),
            _ => "builtin".to_string(),
        },
        more: more.collect(),
        weights_sha256: &session.weights_sha256,
        isa: session.net.isa().to_string(),
        threads,
        labels: (0..labels.count()).map(|class| labels.words(class)).collect(),
        photograph: args.image.as_ref().map(|image| image.to_string_lossy().into_owned()),
        resize: calls::RESIZES.iter().position(|resize| *resize == common.resize).unwrap_or_default(),
    };
    let facts = script_data(&serde_json::to_string(&facts).expect("texts and numbers"));
    filled(
        text::TEMPLATE,
        &[
            ("policy", POLICY),
            ("style", text::STYLE),
            ("where", WHERE),
            ("networks", ""),
            ("facts", ""),
            ("data", &format!("<script type=\"application/json\" id=\"served\">{facts}</script>")),
            ("script", &[text::SCRIPT, include_str!("../../page/remote.js")].concat()),
        ],
    )
}
