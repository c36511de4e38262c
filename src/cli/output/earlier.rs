//! Results of an earlier run in the output folder. A file of numbers has the same name for every
//! photograph, so it may be another photograph's.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use occlude::text::shown;
use serde::Deserialize;

use crate::cli::explanation::LoadedPhotograph;
use crate::cli::source;
use crate::cli::terminal::console;

/// The photograph of an earlier result, as in [`super::json`].
#[derive(Deserialize)]
struct Earlier {
    image: String,
    image_sha256: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Results {
    One(Earlier),
    Several { images: Vec<Earlier> },
}

/// Tells the user if the file `name` in the output folder, which will be replaced, has the results of
/// other photographs than `now`.
pub fn tell(out: &Path, name: &str, now: &[&LoadedPhotograph]) {
    let path = out.join(name);
    if !path.is_file() {
        return;
    }
    let Ok(file) = File::open(&path) else { return };
    let earlier = match serde_json::from_reader(BufReader::new(file)) {
        Ok(Results::One(image)) => vec![image],
        Ok(Results::Several { images }) => images,
        Err(_) => return,
    };
    // A photograph that was edited is the same one, unless it came through standard input.
    let is = |earlier: &Earlier, now: &LoadedPhotograph| {
        let same_name = earlier.image == source::shown(&now.image) && source::is_regular(&now.image);
        same_name || earlier.image_sha256 == now.sha256
    };
    if let Some(other) = earlier.iter().find(|earlier| !now.iter().any(|now| is(earlier, now))) {
        console::print_note(&format!(
            "{} has the results of another photograph, {}, and will be replaced; --out DIR keeps results apart, \
             `occlude batch` makes a folder for each photograph",
            console::shown_path(&path),
            shown(&other.image)
        ));
    }
}
