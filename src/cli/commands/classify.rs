//! `occlude classify`: prints the most probable classes of a photograph.

use std::process::ExitCode;

use occlude::{GoogLeNet, Result};

use crate::cli::args::{Classify, Common};
use crate::cli::explanation::{LoadedPhotograph, require_finite};
use crate::cli::output::json;
use crate::cli::output::table::{count, table};
use crate::cli::terminal::console;
use crate::cli::terminal::threads::on_threads;
use crate::cli::weights;

pub fn run(common: &Common, args: &Classify) -> Result<ExitCode> {
    on_threads(None, || classify(common, args))
}

fn classify(common: &Common, args: &Classify) -> Result<ExitCode> {
    let photograph = LoadedPhotograph::open(&args.image)?.photograph;
    let weights = weights::open(common)?;
    let labels = weights.labels();
    let top = count(args.top, labels.count())?;
    let net = GoogLeNet::new(&weights)?;
    net.check_memory()?;
    let classification = net.classify(&photograph.picture(common.resize).input());
    require_finite(&classification.logits)?;
    let top = classification.top(top);
    console::print(&if args.json {
        json::classes(&args.image, weights::describe(&weights), &classification, &top, &labels)
    } else {
        table(&classification, &top, &labels)
    })?;
    Ok(ExitCode::SUCCESS)
}
