//! `occlude classify`: prints the most probable classes of a photograph.

use std::process::ExitCode;

use occlude::{Error, GoogLeNet, Result};

use crate::cli::args::{Classify, Common};
use crate::cli::explanation::{LoadedPhotograph, require_finite};
use crate::cli::output::json;
use crate::cli::output::table::{LISTED, table};
use crate::cli::terminal::console;
use crate::cli::terminal::threads::on_threads;
use crate::cli::weights;

pub fn run(common: &Common, args: &Classify) -> Result<ExitCode> {
    on_threads(None, || classify(common, args))
}

fn classify(common: &Common, args: &Classify) -> Result<ExitCode> {
    let photograph = LoadedPhotograph::open(&args.image)?.photograph;
    let weights = weights::open(common)?;
    let classes = weights.network().classes();
    let labels = weights.labels();
    let top = args.top.unwrap_or(LISTED.min(classes));
    if top > classes {
        let (found, expected) =
            (top.to_string(), format!("at most {classes}, the number of classes of the network"));
        return Err(Error::Option { name: "--top", found, expected });
    }
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
