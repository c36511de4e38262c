//! The network: classification, the sweep, its checks, Grad-CAM, RISE.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use occlude::network::INPUT_SIDE;
use occlude::{Error, Labels, Progress, Result};
use pyo3::prelude::*;

use crate::array::Array;
use crate::cli::args::{Command, Common};
use crate::cli::checks;
use crate::cli::checksum::load_and_hash;
use crate::cli::explanation::{self, Session, require_finite};
use crate::cli::output::subject::{NamedRise, Subjects};
use crate::cli::output::table;
use crate::cli::terminal::threads::on_threads;
use crate::cli::weights;
use crate::errors::exception;
use crate::explanation::{Explanation, Run};
use crate::photograph::Source;
use crate::watch::{quietly, watched};
use crate::{parse, tensor};

#[pyclass(frozen)]
pub struct Network {
    session: Session,
    /// The options of the command line that name the network.
    options: Vec<OsString>,
}

/// The classes of RISE and their names, the scores without a mask, the maps, the standard errors, the precisions,
/// the number of masks.
type RiseArrays = (Array, Vec<String>, Array, Array, Array, Array, usize);

/// An event of a sweep.
enum Event {
    /// The number of positions that are done, and of all.
    Progress(usize, usize),
    /// A map of which some positions have the values of neighbours.
    Coarse(Box<explanation::Explanation>),
}

/// Loads a network without the message of the command.
fn open(common: &Common, labels: Option<String>) -> Result<Session> {
    let source = weights::find(common)?;
    let loaded = load_and_hash(&source, common.transform_input);
    let (weights, sha256) = loaded.map_err(|error| weights::with_advice(common, error))?;
    let weights = match labels {
        Some(names) => weights.with_labels(Labels::parse("labels", names.as_bytes())?)?,
        None => weights::with_labels(common, weights)?,
    };
    Session::of(&weights, (source, sha256), common.resize, Arc::default())
}

#[pymethods]
impl Network {
    /// `options` are words of the command line; `labels` are names of classes, one in each line.
    #[new]
    fn new(py: Python<'_>, options: Vec<OsString>, labels: Option<String>) -> PyResult<Network> {
        let common = parse(&[&["layers".into()], &options[..]].concat())?.common;
        let session = quietly(py, move || on_threads(None, || open(&common, labels)))?;
        Ok(Network { session, options })
    }

    /// The network in words.
    #[getter]
    fn name(&self) -> &str {
        &self.session.network
    }

    /// The weights file; None for the built-in network.
    #[getter]
    fn weights(&self) -> Option<&Path> {
        match &self.session.weights_source {
            occlude::weights::Source::File(file) => Some(file),
            _ => None,
        }
    }

    #[getter]
    fn weights_sha256(&self) -> &str {
        &self.session.weights_sha256
    }

    /// All names of each class.
    #[getter]
    fn labels(&self) -> Vec<&str> {
        (0..self.session.labels.count()).map(|class| self.session.labels.words(class)).collect()
    }

    /// The index of the class with this name.
    fn find(&self, name: &str) -> PyResult<usize> {
        self.session.labels.find(name).map_err(exception)
    }

    /// The most probable classes, all logits and all probabilities.
    fn classify(
        &self,
        py: Python<'_>,
        source: Source,
        options: Vec<OsString>,
    ) -> PyResult<(Vec<usize>, Array, Array)> {
        let arguments = parse(&self.words("classify", options, &source))?;
        let Command::Classify(args) = arguments.command else { unreachable!("the command is given") };
        let top = table::count(args.top, self.session.labels.count()).map_err(exception)?;
        let session = self.at(&arguments.common);
        let found = quietly(py, move || {
            on_threads(None, || {
                let found = session.classify(&source.load()?)?;
                require_finite(&found.logits)?;
                Ok(found)
            })
        })?;
        let count = [found.logits.len()];
        Ok((found.top(top), Array::new(found.logits, &count), Array::new(found.probabilities, &count)))
    }

    /// Runs a sweep. `progress(done, total)` is called now and then, `coarse(explanation)` twice
    /// before the end.
    #[pyo3(signature = (source, options, progress, coarse))]
    fn explain(
        &self,
        py: Python<'_>,
        source: Source,
        options: Vec<OsString>,
        progress: Option<Py<PyAny>>,
        coarse: Option<Py<PyAny>>,
    ) -> PyResult<Explanation> {
        let words = self.words("explain", options, &source);
        let arguments = parse(&words)?;
        let session = self.at(&arguments.common);
        let Command::Explain(args) = arguments.command else { unreachable!("the command is given") };
        args.check().map_err(exception)?;
        let run = Arc::new(Run { session, common: arguments.common, args: *args, words });
        let wants_coarse = coarse.is_some();
        let listen = |event| match (event, &progress, &coarse) {
            (Event::Progress(done, total), Some(progress), _) => progress.call1(py, (done, total)).map(drop),
            (Event::Coarse(found), _, Some(coarse)) => {
                coarse.call1(py, (Explanation::new(run.clone(), *found),)).map(drop)
            }
            _ => Ok(()),
        };
        let here = run.clone();
        let found = watched(py, &run.session.cancel, listen, move |events: &Sender<Event>| {
            // The listener has gone after an exception.
            let tell = |event| drop(events.send(event));
            on_threads(here.args.pool.threads, || {
                let Run { session, args, .. } = &*here;
                let source = source.load()?;
                let question = session.question(session.classes(&args.classes)?, &args.sweep)?;
                let progress = |done, total| tell(Event::Progress(done, total));
                let of_masks = |now: Progress| progress(now.done, now.total);
                let coarse = |found: &explanation::Explanation| tell(Event::Coarse(Box::new(found.clone())));
                let coarse: &(dyn Fn(&explanation::Explanation) + Sync) = &coarse;
                let coarse = wants_coarse.then_some(coarse);
                let mut found = session.sweep(source, &question, &of_masks, coarse)?;
                session.go_on(&mut found, &question, args, &progress)?;
                Ok(found)
            })
        })?;
        Ok(Explanation::new(run, found))
    }

    /// Checks a map. Returns the contents of `check.json`.
    fn check(
        &self,
        py: Python<'_>,
        source: Source,
        options: Vec<OsString>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<String> {
        let arguments = parse(&self.words("check", options, &source))?;
        let Command::Check(args) = arguments.command else { unreachable!("the command is given") };
        let (session, common) = (self.at(&arguments.common), arguments.common);
        let file = self.weights().map_or("builtin".to_string(), |file| file.display().to_string());
        let cancel = session.cancel.clone();
        watched(py, &cancel, told(py, progress), move |events: &Sender<(usize, usize)>| {
            on_threads(args.pool.threads, || {
                let question = session.question(session.classes(&args.classes)?, &args.sweep)?;
                let (weights, sha256) = load_and_hash(&session.weights_source, common.transform_input)?;
                if sha256 != session.weights_sha256 {
                    let problem = "has changed since the network was loaded: load the network again";
                    return Err(Error::Weights { name: file, problem: problem.to_string() });
                }
                // The listener has gone after an exception.
                let progress = |done, total| _ = events.send((done, total));
                Ok(checks::check(&session, weights, source.load()?, &question, &progress)?.json())
            })
        })
    }

    /// Runs RISE.
    fn rise(
        &self,
        py: Python<'_>,
        source: Source,
        options: Vec<OsString>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<RiseArrays> {
        let arguments = parse(&self.words("rise", options, &source))?;
        let Command::Rise(args) = arguments.command else { unreachable!("the command is given") };
        let session = self.at(&arguments.common);
        let (cancel, labels) = (session.cancel.clone(), session.labels.clone());
        let found = watched(py, &cancel, told(py, progress), move |events: &Sender<(usize, usize)>| {
            on_threads(args.pool.threads, || {
                let question = session.rise_question(&args)?;
                // As above.
                let progress = |now: Progress| _ = events.send((now.done, now.total));
                session.rise(question, &source.load()?, &progress)
            })
        })?;
        let maps = NamedRise { found: &found, labels: &labels };
        let count = found.maps.len();
        let names = (0..count).map(|k| maps.short_subject(k)).collect();
        let pixels = [count, INPUT_SIDE, INPUT_SIDE];
        Ok((
            Array::new(found.classes, &[count]),
            names,
            Array::new(found.base_scores, &[count]),
            Array::new(found.maps.concat(), &pixels),
            Array::new(found.standard_errors.concat(), &pixels),
            Array::new(found.precisions, &[count]),
            found.masks,
        ))
    }

    /// The classes, their Grad-CAM maps and the layer.
    fn gradcam(
        &self,
        py: Python<'_>,
        source: Source,
        options: Vec<OsString>,
    ) -> PyResult<(Array, Array, String)> {
        let arguments = parse(&self.words("gradcam", options, &source))?;
        let Command::Gradcam(args) = arguments.command else { unreachable!("the command is given") };
        let session = self.at(&arguments.common);
        let found = quietly(py, move || {
            on_threads(args.pool.threads, || {
                let classes = session.classes(&args.classes)?;
                let activations = session.forward(&source.load()?.photograph)?;
                let said = activations.classification();
                require_finite(&said.logits)?;
                session.net.grad_cam(&activations, &classes.resolve(&said))
            })
        })?;
        let ([rows, columns], count) = (found.grid, found.classes.len());
        Ok((
            Array::new(found.classes, &[count]),
            Array::new(found.maps, &[count, rows, columns]),
            found.layer.to_string(),
        ))
    }

    /// The tensor that the network reads, `[224][224][3]`.
    fn input(&self, py: Python<'_>, source: Source, options: Vec<OsString>) -> PyResult<Array> {
        let resize = parse(&self.words("classify", options, &source))?.common.resize;
        let input = quietly(py, move || Ok(source.load()?.photograph.picture(resize).input()))?;
        Ok(Array::new(input.values().to_vec(), &tensor::SHAPE))
    }

    /// The logits and the probabilities of several tensors, `[n][classes]`.
    fn predict(&self, py: Python<'_>, inputs: tensor::Bytes) -> PyResult<(Array, Array)> {
        tensor::predict(py, &self.session.net, inputs)
    }

    /// Runs a sweep over a tensor with masks inside it. Returns the score of the class without a mask,
    /// the scores with the masks, and the pixels of the masks.
    #[expect(clippy::too_many_arguments, reason = "the options of a sweep")]
    fn sweep(
        &self,
        py: Python<'_>,
        input: tensor::Bytes,
        class: usize,
        mask_size: [usize; 2],
        stride: [usize; 2],
        rgb: [f32; 3],
        region: [usize; 4],
        score: &str,
    ) -> PyResult<(f32, Array, Array)> {
        tensor::sweep(py, &self.session.net, input, class, mask_size, stride, rgb, region, score)
    }
}

/// A function that tells the progress to one of Python's, if there is one.
fn told(py: Python<'_>, progress: Option<Py<PyAny>>) -> impl FnMut((usize, usize)) -> PyResult<()> {
    move |now| match &progress {
        Some(progress) => progress.call1(py, now).map(drop),
        None => Ok(()),
    }
}

impl Network {
    /// The words of a subcommand with the options of the network and of a call.
    fn words(&self, command: &str, options: Vec<OsString>, source: &Source) -> Vec<OsString> {
        let mut words = vec![command.into()];
        words.extend(self.options.iter().cloned().chain(options));
        words.extend(["--".into(), source.name()]);
        words
    }

    /// The session of one call.
    fn at(&self, common: &Common) -> Session {
        Session { resize: common.resize, cancel: Arc::default(), ..self.session.clone() }
    }
}
