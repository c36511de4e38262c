//! The result of a sweep: arrays, files, the report.

use std::collections::HashMap;
use std::convert::Infallible;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::slice;
use std::sync::Arc;

use occlude::image::lattice::middles;
use occlude::network::INPUT_SIDE;
use occlude::network::geometry::Rect;
use occlude::{Map, RegionPart, Upsampling};
use pyo3::prelude::*;
use serde::Serialize;

use crate::array::Array;
use crate::cli::args::{Command, Common, Explain};
use crate::cli::explanation::{self, Session};
use crate::cli::output::figures::drop_range;
use crate::cli::output::files::{self, OutputFolder};
use crate::cli::output::json::{Provenance, RunInfo, SweepOptions};
use crate::cli::output::subject::Subjects;
use crate::cli::output::{json, report, results};
use crate::cli::repeats::agreement;
use crate::cli::terminal::threads::on_threads;
use crate::errors::exception;
use crate::parse;
use crate::watch::{quietly, watched};

/// The options of a run.
pub struct Run {
    pub session: Session,
    pub common: Common,
    pub args: Explain,
    /// The command line of the run, whose last word is the photograph.
    pub words: Vec<OsString>,
}

/// The level, the pixels and the parts of the evidence for a class.
type Found = (Option<f32>, Array, Vec<(usize, [usize; 4], Vec<Array>)>);

/// The measures of a map: method, class, areas of deletion and insertion, sparseness, the fall of the
/// probability and whether it rises, and with boxes the pointing game and the overlap.
type Measured = (&'static str, usize, [f32; 2], f32, (f32, bool), Option<(bool, f32)>);

/// What `map.json` says beside its numbers.
#[derive(Serialize)]
struct Facts<'a> {
    #[serde(flatten)]
    origin: Provenance<'a>,
    #[serde(flatten)]
    sweep: SweepOptions,
    #[serde(flatten)]
    run: RunInfo<'a>,
}

#[pyclass(frozen)]
pub struct Explanation {
    run: Arc<Run>,
    found: Arc<explanation::Explanation>,
}

impl Explanation {
    pub fn new(run: Arc<Run>, found: explanation::Explanation) -> Explanation {
        Explanation { run, found: Arc::new(found) }
    }

    /// An array with the shape `[first][ny][nx]` of grids.
    fn grids(&self, maps: impl Iterator<Item = Map<'static>>) -> Array {
        let values: Vec<f32> = maps.flat_map(|map| map.values().to_vec()).collect();
        let [ny, nx] = self.found.maps.grid;
        let count = values.len() / (ny * nx);
        Array::new(values, &[count, ny, nx])
    }

    /// An array with a value, or several, for each mask position.
    fn of_positions<const N: usize>(&self, of: impl Fn(usize, usize) -> [usize; N]) -> Array {
        let [ny, nx] = self.found.maps.grid;
        let values = (0..ny * nx).flat_map(|i| of(i / nx, i % nx)).collect();
        Array::new(values, &[ny, nx, N])
    }
}

#[pymethods]
impl Explanation {
    /// The options, the photograph, the network and the run, a JSON object as in `map.json`.
    #[getter]
    fn facts(&self) -> String {
        let found = &self.found;
        json::line(&Facts { origin: found.provenance(), sweep: found.sweep_options(), run: found.run_info() })
    }

    /// The first name of the subject of each map.
    #[getter]
    fn labels(&self) -> Vec<String> {
        (0..self.found.maps.classes.len()).map(|k| self.found.short_subject(k)).collect()
    }

    #[getter]
    fn classes(&self) -> Array {
        Array::part(&self.found, |found| &found.maps.classes, &[self.found.maps.classes.len()])
    }

    #[getter]
    fn base_scores(&self) -> Array {
        Array::part(&self.found, |found| &found.maps.base_scores, &[self.found.maps.classes.len()])
    }

    #[getter]
    fn maps(&self) -> Array {
        let maps = &self.found.maps;
        self.grids((0..maps.classes.len()).map(|k| maps.map(k)))
    }

    #[getter]
    fn scores(&self) -> Array {
        let [ny, nx] = self.found.maps.grid;
        Array::part(&self.found, |found| &found.maps.scores, &[self.found.maps.classes.len(), ny, nx])
    }

    #[getter]
    fn argmax(&self) -> Array {
        Array::part(&self.found, |found| &found.maps.argmax, &self.found.maps.grid)
    }

    #[getter]
    fn argmax_scores(&self) -> Array {
        Array::part(&self.found, |found| &found.maps.argmax_scores, &self.found.maps.grid)
    }

    #[getter]
    fn attributions(&self, py: Python<'_>) -> Array {
        let maps = &self.found.maps;
        let count = maps.classes.len();
        let values = py.detach(|| (0..count).flat_map(|k| maps.attributions(k)).collect());
        Array::new(values, &[count, INPUT_SIDE, INPUT_SIDE])
    }

    #[getter]
    fn activations(&self) -> Array {
        let maps = &self.found.maps;
        self.grids((0..maps.features.len()).map(|f| maps.feature_map(f)))
    }

    #[getter]
    fn activation_totals(&self) -> Array {
        let maps = &self.found.maps;
        self.grids(maps.features.iter().map(|feature| Map::new(maps.grid, feature.totals.clone())))
    }

    #[getter]
    fn activation_base_totals(&self) -> Array {
        let totals: Vec<f32> = self.found.maps.features.iter().map(|feature| feature.base_total).collect();
        let count = totals.len();
        Array::new(totals, &[count])
    }

    /// The layer and the channel of each feature.
    #[getter]
    fn features(&self) -> Vec<(&str, usize)> {
        let features = self.found.maps.features.iter();
        features.map(|feature| (feature.layer.as_str(), feature.channel)).collect()
    }

    #[getter]
    fn logits(&self) -> Array {
        let said = &self.found.maps.classification;
        Array::part(&self.found, |found| &found.maps.classification.logits, &[said.logits.len()])
    }

    #[getter]
    fn probabilities(&self) -> Array {
        let said = &self.found.maps.classification;
        Array::part(&self.found, |found| &found.maps.classification.probabilities, &[said.logits.len()])
    }

    /// The photograph, `[height][width][3]`.
    #[getter]
    fn photograph(&self) -> Array {
        let photograph = &self.found.photograph;
        Array::part(photograph, |photograph| photograph.rgb(), &[photograph.height(), photograph.width(), 3])
    }

    /// The network's picture, `[224][224][3]`.
    #[getter]
    fn picture(&self, py: Python<'_>) -> Array {
        let rgb = py.detach(|| self.found.photograph.picture(self.found.resize).rgb().to_vec());
        Array::new(rgb, &[INPUT_SIDE, INPUT_SIDE, 3])
    }

    #[getter]
    fn mask_rects(&self) -> Array {
        self.of_positions(|row, column| {
            let Rect { y0, x0, y1, x1 } = self.found.maps.mask_rect(row, column);
            [y0, x0, y1, x1]
        })
    }

    #[getter]
    fn mask_centres(&self) -> Array {
        self.of_positions(|row, column| self.found.maps.centre(row, column))
    }

    /// The part of the picture that the maps cover: y0, x0, y1, x1.
    #[getter]
    fn area(&self) -> [usize; 4] {
        let Rect { y0, x0, y1, x1 } = self.found.lattice().area();
        [y0, x0, y1, x1]
    }

    /// The maps of all classes enlarged to their area, `[class][height][width]`.
    fn upsampled(&self, py: Python<'_>) -> Array {
        let [y0, x0, y1, x1] = self.area();
        let count = self.found.maps.classes.len();
        let enlarged = |k| {
            let (map, lattice) = self.found.drops(k);
            lattice.values(&map, &middles(y0, y1), &middles(x0, x1), Upsampling::Bicubic)
        };
        let values = py.detach(|| (0..count).flat_map(enlarged).collect());
        Array::new(values, &[count, y1 - y0, x1 - x0])
    }

    /// The curves of each method for each class: method, class, shares, deletion, insertion, and the areas of
    /// deletion and insertion.
    #[getter]
    fn faithfulness(&self) -> Vec<(&'static str, usize, [Array; 3], [f32; 2])> {
        let array = |values: &Vec<f32>| Array::new(values.clone(), &[values.len()]);
        let curves = self.found.faithfulness.iter();
        curves
            .map(|(method, curves)| {
                let arrays = [&curves.shares, &curves.deletion, &curves.insertion].map(array);
                (method.name(), curves.class, arrays, [curves.deletion_area(), curves.insertion_area()])
            })
            .collect()
    }

    /// The fields `pairs` and `robust` of `map.json`, JSON lists.
    #[getter]
    fn pairs(&self) -> String {
        json::line(&json::interactions(&self.found))
    }

    #[getter]
    fn robust(&self) -> String {
        json::line(&json::repetitions(&self.found))
    }

    /// The measures of each map and its Grad-CAM map. `boxes` are those of each class on the photograph.
    fn metrics(
        &self,
        py: Python<'_>,
        boxes: HashMap<usize, Vec<[f64; 4]>>,
        tolerance: f64,
    ) -> PyResult<Vec<Measured>> {
        let args = self.with(vec!["--faithfulness".into()])?.1;
        args.check().map_err(exception)?;
        let (run, mut found) = (self.run.clone(), (*self.found).clone());
        let session = Session { cancel: Arc::default(), ..self.run.session.clone() };
        let cancel = session.cancel.clone();
        watched(
            py,
            &cancel,
            |event: Infallible| match event {},
            move |_| {
                on_threads(args.pool.threads, || {
                    let question = session.question(session.classes(&args.classes)?, &run.args.sweep)?;
                    let maps = session.measure(&mut found, &question, &|_| ())?;
                    let measured = maps.iter().zip(&found.faithfulness).map(|(map, (method, curves))| {
                        let (sparseness, change) = session.concentration(&found, map)?;
                        let boxes =
                            boxes.get(&map.class).map(|boxes| agreement(&found, map, boxes, tolerance));
                        let areas = [curves.deletion_area(), curves.insertion_area()];
                        let change = (change.drop, change.rises);
                        Ok((method.name(), map.class, areas, sparseness, change, boxes.transpose()?))
                    });
                    measured.collect()
                })
            },
        )
    }

    /// The evidence for the `k`-th class on the photograph: the smallest drop in it, its pixels, and its
    /// parts, each with its number of pixels, its box and its contours.
    fn region(&self, py: Python<'_>, k: usize, options: Vec<OsString>) -> PyResult<Found> {
        let words = [&["region".into()], &options[..], &["--".into(), "photograph".into()]].concat();
        let Command::Region(args) = parse(&words)?.command else { unreachable!("the command is given") };
        let found = self.found.clone();
        let (level, region, parts) = quietly(py, move || {
            let map = found.evidence(k);
            let level = args.threshold.level(&map)?;
            let framing = found.photograph.framing(found.resize);
            let region = framing.region_above(&map, level.unwrap_or(f32::INFINITY));
            let parts = region.parts();
            Ok((level, region, parts))
        })?;
        let pixels = region.pixels().iter().map(|inside| u8::from(*inside)).collect();
        let corners = |line: Vec<[usize; 2]>| Array::new(line.concat(), &[line.len(), 2]);
        let part = |part: RegionPart| {
            let Rect { y0, x0, y1, x1 } = part.bounds;
            (part.area, [y0, x0, y1, x1], part.contours.into_iter().map(corners).collect())
        };
        Ok((level, Array::new(pixels, &region.size()), parts.into_iter().map(part).collect()))
    }

    /// The contents of `map.json`.
    fn json(&self, py: Python<'_>) -> String {
        py.detach(|| json::maps(&self.found))
    }

    /// Writes the files of `occlude explain` and returns their paths. `options` are further words of
    /// the command line.
    fn save(&self, py: Python<'_>, folder: PathBuf, options: Vec<OsString>) -> PyResult<Vec<PathBuf>> {
        let args = self.with(options)?.1;
        let found = self.found.clone();
        quietly(py, move || {
            let output = OutputFolder::check(&folder)?;
            let run = drop_range(slice::from_ref(&*found));
            output.write(&results::files(&found, &args.figures, run, &args.arrays, &json::maps(&found)))
        })
    }

    /// The contents of the report that `path` names.
    fn page(&self, py: Python<'_>, path: PathBuf, options: Vec<OsString>) -> PyResult<String> {
        let (common, args) = self.with(options)?;
        let (run, found) = (self.run.clone(), self.found.clone());
        quietly(py, move || {
            let question = run.session.question(run.session.classes(&args.classes)?, &args.sweep)?;
            let range = drop_range(slice::from_ref(&*found));
            report::page(&run.session, &found, &common, &args, &question, range, [&args.out, &path])
        })
    }

    /// Writes the report.
    fn report(&self, py: Python<'_>, path: PathBuf, options: Vec<OsString>) -> PyResult<()> {
        files::check_apart(&path).map_err(exception)?;
        let page = self.page(py, path.clone(), options)?;
        quietly(py, move || {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            let output = OutputFolder::check(folder.unwrap_or(Path::new(".")))?;
            output.write_with(&[], Some((&path, page.as_bytes()))).map(drop)
        })
    }
}

impl Explanation {
    /// The options of the run with further ones.
    fn with(&self, options: Vec<OsString>) -> PyResult<(Common, Explain)> {
        let (before, image) = self.run.words.split_at(self.run.words.len() - 2);
        let arguments = parse(&[before, &options, image].concat())?;
        let Command::Explain(args) = arguments.command else { unreachable!("the command is given") };
        Ok((arguments.common, *args))
    }
}
