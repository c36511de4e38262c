//! Fuzzes picture files with arbitrary bytes: the result is pixels or an error. Small pictures are
//! also converted to the network's input.
#![no_main]

use std::io::Cursor;

use image::ImageReader;
use libfuzzer_sys::{Corpus, fuzz_target};
use occlude::{Photograph, Resize};

/// Larger pictures find nothing new and take long. tests/hostile.rs contains such pictures.
const MOST_PIXELS: u64 = 1 << 18;

/// The library turns a panic of a decoder into an error, which is no finding. libFuzzer's own hook would
/// end the program at once; a panic that leaves the target still does.
fn print_panics() {
    std::panic::set_hook(Box::new(|panic| eprintln!("{panic}")));
}

fuzz_target!(init: print_panics(), |bytes: &[u8]| -> Corpus {
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format();
    let size = reader.ok().and_then(|reader| reader.into_dimensions().ok());
    if size.is_some_and(|(width, height)| u64::from(width) * u64::from(height) > MOST_PIXELS) {
        return Corpus::Reject;
    }
    match Photograph::from_bytes("fuzz", bytes) {
        Ok(photograph) => {
            assert_eq!(photograph.rgb().len(), photograph.height() * photograph.width() * 3);
            for resize in [Resize::Stretch, Resize::CenterCrop] {
                assert!(photograph.picture(resize).input().values().iter().all(|value| value.is_finite()));
            }
        }
        Err(error) => assert!(error.to_string().starts_with("fuzz: ")),
    }
    Corpus::Keep
});
