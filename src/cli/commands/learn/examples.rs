//! The photographs from which a network learns: their checksums, their features, their folds.

use std::collections::HashMap;

use occlude::forward::log_sum_exp;
use occlude::learn::{Features, stratified_folds};
use occlude::{Error, GoogLeNet, Photograph, Picture, Resize, Result, memory};

use crate::cli::checksum::sha256;
use crate::cli::explanation::{LoadedPhotograph, require_finite};
use crate::cli::photographs::PhotographFile;
use crate::cli::photographs::work::for_each;
use crate::cli::source;
use crate::cli::terminal::console;

/// The smallest number of photographs of a class.
pub const LEAST: usize = 3;

/// A photograph and the index of its class.
pub struct Example {
    pub file: PhotographFile,
    pub class: usize,
    pub sha256: String,
}

/// Reads all files for their checksums, so that copies are found before the long work begins. A
/// photograph that occurs twice in its class counts once; also returns the number of these copies.
///
/// # Errors
/// [`Error::Image`] if a photograph is in two classes. Those of [`for_each`].
pub fn distinct(files: Vec<(PhotographFile, usize)>, classes: &[String]) -> Result<(Vec<Example>, usize)> {
    let only: Vec<&PhotographFile> = files.iter().map(|(file, _)| file).collect();
    let sums = for_each(&only, |i| {
        let file = only[i];
        // Each photograph is read twice.
        if source::is_stream(&file.path) {
            let problem = "is a pipe or a device, expected a regular file: copy it to one".to_string();
            return Err(Error::Image { name: file.shown.clone(), problem });
        }
        Ok(sha256(&source::read_photograph(&file.path)?))
    })?;
    let mut first: HashMap<String, (String, usize)> = HashMap::new();
    let mut examples = Vec::new();
    let mut copies = 0;
    for ((file, class), sha256) in files.into_iter().zip(sums) {
        let Some(sha256) = sha256 else { continue };
        match first.get(&sha256) {
            None => {
                first.insert(sha256.clone(), (file.shown.clone(), class));
                examples.push(Example { file, class, sha256 });
            }
            Some((_, before)) if *before == class => copies += 1,
            Some((other, before)) => {
                let (class, before) = (&classes[class], &classes[*before]);
                let problem = format!(
                    "is the same photograph as {other}, which is in class \"{before}\", and this one is in \
                     \"{class}\"; expected each photograph in one class: remove one of them"
                );
                return Err(Error::Image { name: file.shown, problem });
            }
        }
    }
    if copies > 0 {
        let are = if copies == 1 { "photograph is a copy" } else { "photographs are copies" };
        console::print_note(&format!("{copies} {are} of another one in the same class and not counted"));
    }
    Ok((examples, copies))
}

/// The answer of the network as it is.
pub struct Before {
    /// The most probable class.
    pub best: usize,
    pub logit: f64,
    /// The logarithm of the sum of the exponentials of all logits.
    pub all: f64,
}

/// Examples with the features of their views.
pub struct Learned {
    pub examples: Vec<Example>,
    /// [`Photograph::VIEWS`] rows for each example.
    pub features: Features,
    /// The answer of the network as it is to each row.
    pub before: Vec<Before>,
}

/// Runs the views of all photographs through the network.
///
/// # Errors
/// Those of [`for_each`]; [`Error::Memory`].
pub fn features(net: &GoogLeNet, resize: Resize, mut examples: Vec<Example>) -> Result<Learned> {
    let bytes = examples.len() * Photograph::VIEWS * net.features_len() * size_of::<f32>();
    memory::require("the features of the photographs", 2 * bytes)?;
    let files: Vec<&PhotographFile> = examples.iter().map(|example| &example.file).collect();
    let rows = for_each(&files, |i| {
        let photograph = LoadedPhotograph::read(&files[i].path)?.photograph;
        net.check_memory()?;
        let row = |picture: &Picture| {
            let features = net.features(&picture.input());
            let said = net.classify_features(&features);
            require_finite(&said.logits)?;
            let logits: Vec<f64> = said.logits.iter().map(|&logit| f64::from(logit)).collect();
            let best = said.best();
            Ok((features, Before { best, logit: logits[best], all: log_sum_exp(&logits) }))
        };
        photograph.views(resize).iter().map(row).collect::<Result<Vec<_>>>()
    })?;
    let mut is_read = rows.iter().map(Option::is_some);
    examples.retain(|_| is_read.next().unwrap_or(false));
    let mut features = Features::new(net.features_len())?;
    let mut before = Vec::new();
    for (row, said) in rows.into_iter().flatten().flatten() {
        features.push(&row)?;
        before.push(said);
    }
    Ok(Learned { examples, features, before })
}

/// The fold of each example. The examples of a target are divided evenly, in the order of their checksums,
/// so that neighbours in a folder are apart.
pub fn folds(examples: &[Example], target: impl Fn(usize) -> usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..examples.len()).collect();
    order.sort_by_key(|&i| &examples[i].sha256);
    let targets: Vec<usize> = order.iter().map(|&i| target(examples[i].class)).collect();
    let mut folds = vec![0; examples.len()];
    order.iter().zip(stratified_folds(&targets)).for_each(|(&i, fold)| folds[i] = fold);
    folds
}
