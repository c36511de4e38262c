//! Reads files about the photographs of a batch: the class that each should have, and the boxes of the objects
//! on it.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::path::Path;

use occlude::text::shown;
use occlude::{Error, Result};

use crate::cli::args::Batch;
use crate::cli::checksum::sha256;
use crate::cli::explanation::{LoadedPhotograph, Session};
use crate::cli::photographs::PhotographFile;
use crate::cli::photographs::boxes::{self, BoxEntry};
use crate::cli::photographs::labelled::{classes_named, labelled, some_of};
use crate::cli::photographs::named::ByName;
use crate::cli::photographs::work::for_each;
use crate::cli::source;

/// Edges of boxes may lie this far outside of the photograph, in pixels, because files round them.
const ROUNDING: f64 = 1.0;

/// A box of an object of a class of the network.
pub struct ObjectBox {
    pub class: usize,
    /// Left, top, right and bottom edge in pixels of the photograph.
    pub bounds: [f64; 4],
    entry: BoxEntry,
}

/// The annotations of all photographs of a batch, by their paths as shown.
#[derive(Default)]
pub struct Annotations {
    classes: Option<HashMap<String, usize>>,
    boxes: Option<HashMap<String, Vec<ObjectBox>>>,
}

impl Annotations {
    /// Reads the files of `--classes-from` and `--boxes`. `photographs` are those of all shards.
    ///
    /// # Errors
    /// Those of [`labelled`] and [`boxes::read`]; [`Error::Image`] for a photograph without a class, with
    /// two, or that is not in the batch; [`Error::Labels`] for classes that the network does not have.
    pub fn read(args: &Batch, photographs: &[PhotographFile], session: &Session) -> Result<Annotations> {
        let names = ByName::new(photographs);
        let classes = args.classes_from.as_deref();
        let classes = classes.map(|input| classes_of(input, photographs, &names, session)).transpose()?;
        let boxes = args.boxes.as_deref();
        let boxes = boxes.map(|input| boxes_of(input, photographs, &names, session)).transpose()?;
        Ok(Annotations { classes, boxes })
    }

    /// The class that a photograph should have.
    pub fn class(&self, file: &PhotographFile) -> Option<usize> {
        self.classes.as_ref()?.get(&file.shown).copied()
    }

    /// The boxes on a photograph; `None` without `--boxes`.
    pub fn boxes(&self, file: &PhotographFile) -> Option<&[ObjectBox]> {
        let boxes = self.boxes.as_ref()?;
        Some(boxes.get(&file.shown).map_or(&[], Vec::as_slice))
    }

    /// Puts the checksums of the annotations in place of the names of their files, so that results are
    /// made again when an annotation has changed.
    pub fn identify(&self, options: &mut BTreeMap<String, String>) {
        let identify = |lines: Vec<String>| {
            let mut lines = lines;
            lines.sort();
            sha256(lines.concat().as_bytes())
        };
        if let Some(classes) = &self.classes {
            let lines = classes.iter().map(|(photo, class)| format!("{photo}: {class}\n"));
            options.insert("classes-from".to_string(), identify(lines.collect()));
            options.remove("classes");
        }
        match &self.boxes {
            Some(boxes) => {
                let lines = boxes.iter().map(|(photo, boxes)| {
                    let mut line = format!("{photo}:");
                    for ObjectBox { class, bounds, .. } in boxes {
                        write!(line, " {class} {bounds:?}").expect("writing to a string");
                    }
                    line + "\n"
                });
                options.insert("boxes".to_string(), identify(lines.collect()));
            }
            None => {
                options.remove("tolerance");
            }
        }
    }

    /// Reads the sizes of the photographs with boxes, compares them with the boxes, and cuts off what is
    /// rounded. Photographs that cannot be read are left to the batch.
    ///
    /// # Errors
    /// [`Error::Image`] for the first box that is not on its photograph, and for a photograph that cannot
    /// be read twice.
    pub fn check_sizes(&mut self, input: Option<&Path>, photographs: &[PhotographFile]) -> Result<()> {
        let (Some(boxes), Some(input)) = (&mut self.boxes, input) else { return Ok(()) };
        let with_boxes: Vec<&PhotographFile> =
            photographs.iter().filter(|file| boxes.contains_key(&file.shown)).collect();
        if let Some(file) = with_boxes.iter().find(|file| source::is_stream(&file.path)) {
            let problem = "is a stream: --boxes reads each photograph twice; store it in a file".to_string();
            return Err(Error::Image { name: file.shown.clone(), problem });
        }
        let sizes = for_each(&with_boxes, |i| {
            let photograph = LoadedPhotograph::read(&with_boxes[i].path).map(|source| source.photograph);
            Ok(photograph.ok().map(|photograph| [photograph.width(), photograph.height()]))
        })?;
        for (file, size) in with_boxes.iter().zip(sizes) {
            let Some(size) = size.flatten() else { continue };
            for object in boxes.get_mut(&file.shown).into_iter().flatten() {
                object.cut(&file.shown, size).map_err(|problem| refuse(input, problem))?;
            }
        }
        Ok(())
    }
}

impl ObjectBox {
    /// Cuts the box off at the edges of its photograph.
    fn cut(&mut self, photo: &str, [width, height]: [usize; 2]) -> std::result::Result<(), String> {
        let (place, photo) = (&self.entry.place, shown(photo));
        if let Some([told_width, told_height]) = self.entry.size
            && [told_width, told_height] != [width as u64, height as u64]
        {
            return Err(format!(
                "{place}: {photo} has {width}x{height} pixels (width x height), expected {told_width}x{told_height} as told \
                 there"
            ));
        }
        let ends = [width as f64, height as f64];
        let [x0, y0, x1, y1] = self.bounds;
        let cut = [x0.max(0.0), y0.max(0.0), x1.min(ends[0]), y1.min(ends[1])];
        let is_outside = self.bounds.iter().zip(cut).any(|(edge, cut)| (edge - cut).abs() >= ROUNDING);
        if is_outside || cut[0] >= cut[2] || cut[1] >= cut[3] {
            return Err(format!(
                "{place}: the box from x {x0} to {x1} and y {y0} to {y1} is not on {photo}, which has {width}x{height} \
                 pixels (width x height)"
            ));
        }
        self.bounds = cut;
        Ok(())
    }
}

/// The class of each photograph.
fn classes_of(
    input: &Path,
    photographs: &[PhotographFile],
    names: &ByName,
    session: &Session,
) -> Result<HashMap<String, usize>> {
    let found = labelled(input)?;
    let mut places: Vec<Option<usize>> = vec![None; photographs.len()];
    for (file, class) in &found.photographs {
        // A list may name more photographs than the batch has.
        let Some(i) = names.find(&file.path).map_err(|problem| refuse(input, problem))? else { continue };
        if let Some(other) = places[i].replace(*class).filter(|other| other != class) {
            let [one, other] = [*class, other].map(|class| shown(&found.classes[class]));
            let problem =
                format!("has {} in two classes, \"{other}\" and \"{one}\"", shown(&photographs[i].shown));
            return Err(refuse(input, problem));
        }
    }
    let missing = photographs.iter().zip(&places).filter(|(_, place)| place.is_none());
    let missing: Vec<String> = missing.map(|(file, _)| shown(&file.shown).into_owned()).collect();
    if !missing.is_empty() {
        let problem = format!("has no class for {}: expected one for each photograph", some_of(&missing));
        return Err(refuse(input, problem));
    }
    let mut used: Vec<usize> = places.iter().copied().flatten().collect();
    used.sort_unstable();
    used.dedup();
    let used_names: Vec<String> = used.iter().map(|&class| found.classes[class].clone()).collect();
    let known = classes_named(&source::shown(input), &used_names, &session.labels, &session.network)?;
    let class = |place: usize| known[used.binary_search(&place).expect("a class in use")];
    let of = photographs.iter().zip(places.into_iter().flatten());
    Ok(of.map(|(file, place)| (file.shown.clone(), class(place))).collect())
}

/// The boxes on each photograph that has some.
fn boxes_of(
    input: &Path,
    photographs: &[PhotographFile],
    names: &ByName,
    session: &Session,
) -> Result<HashMap<String, Vec<ObjectBox>>> {
    let entries = boxes::read(input)?;
    let mut used: Vec<String> = entries.iter().map(|entry| entry.class.clone()).collect();
    used.sort();
    used.dedup();
    let known = classes_named(&source::shown(input), &used, &session.labels, &session.network)?;
    let mut unknown = Vec::new();
    let mut of: HashMap<String, Vec<ObjectBox>> = HashMap::new();
    for entry in entries {
        let place = |problem: String| refuse(input, format!("{}: {problem}", entry.place));
        match names.find(Path::new(&entry.photo)).map_err(place)? {
            Some(i) => {
                let class = known[used.binary_search(&entry.class).expect("a class in use")];
                let boxes = of.entry(photographs[i].shown.clone()).or_default();
                boxes.push(ObjectBox { class, bounds: entry.bounds, entry });
            }
            None => {
                let named = format!("{}: \"{}\"", entry.place, shown(&entry.photo));
                unknown.push(named);
            }
        }
    }
    if unknown.is_empty() {
        return Ok(of);
    }
    let problem = format!("has boxes on photographs that are not in this batch: {}", some_of(&unknown));
    Err(refuse(input, problem))
}

fn refuse(input: &Path, problem: String) -> Error {
    Error::Image { name: source::shown(input), problem }
}
