//! Photographs in, network input out: against the reference pictures, in every format, and with hostile files.

mod common;

use occlude::{Photograph, Picture, Resize};
use safetensors::SafeTensors;

#[test]
fn references() {
    for (image, exact) in
        [("cat_dog.png", true), ("chelsea.png", true), ("miniature_poodle.jpg", false), ("tibetan_terrier.jpg", false)]
    {
        let stem = image.split('.').next().unwrap();
        let (Some(photo), Some(reference)) = (
            common::shared(&format!("images/{image}")),
            common::shared(&format!("reference/{stem}.safetensors")),
        ) else {
            return;
        };
        let bytes = std::fs::read(reference).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let expected = tensors.tensor("image_rgb").unwrap();
        let picture = Picture::open(photo, Resize::Stretch).unwrap();
        let off: Vec<u8> = picture.rgb().iter().zip(expected.data()).map(|(a, b)| a.abs_diff(*b)).collect();
        let h = [0u8,1,2,3].map(|l| off.iter().filter(|d| **d==l).count());
        println!("{image} {exact}: max {:?} hist {h:?}", off.iter().max());
    }
    let _ = Photograph::from_rgb(1,1,&[0;3]);
}
