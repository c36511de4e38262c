//! `occlude classify`: the most probable classes of a photograph.

use std::fmt::Write;
use std::process::ExitCode;

use occlude::{Classification, Error, GoogLeNet, Labels, Picture, Result, Weights};

use super::args::{Classify, Common};
use super::{explanation, json, weights};

/// Classes in the lists that the other commands' results begin with.
pub const LISTED: usize = 5;

pub fn run(common: &Common, args: &Classify) -> Result<ExitCode> {
    let weights = weights::find(common)?;
    let picture = Picture::open(&args.image, common.resize)?;
    let weights = Weights::load(weights)?;
    let classes = weights.network().classes();
    let labels = explanation::labels(common, classes)?;
    if args.top > classes {
        let (found, expected) = (args.top.to_string(), format!("at most the network's {classes} classes"));
        return Err(Error::Option { name: "--top", found, expected });
    }
    let classification = GoogLeNet::new(&weights)?.classify(&picture.input());
    json::require_finite(&classification.logits)?;
    let top = classification.top(args.top);
    super::print(&if args.json {
        json::classes(&args.image, &classification, &top, &labels)
    } else {
        table(&classification, &top, &labels)
    })?;
    Ok(ExitCode::SUCCESS)
}

/// One class a line: probability, index, names.
pub fn table(classification: &Classification, classes: &[usize], labels: &Labels) -> String {
    let mut text = String::new();
    for &class in classes {
        let words = labels.words(class);
        let probability = classification.probabilities[class];
        writeln!(text, "{probability:.4}  {class:>3}  {words}").expect("writing to a string");
    }
    text
}
