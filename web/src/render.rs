//! The colours of the command's figures.

#[path = "../../src/cli/render/colours.rs"]
#[allow(dead_code, reason = "the page has a list of its own")]
pub mod colours;

mod text {
    pub fn mix(under: [u8; 3], over: [u8; 3], share: f32) -> [u8; 3] {
        std::array::from_fn(|c| {
            (f32::from(under[c]) * (1.0 - share) + f32::from(over[c]) * share).round() as u8
        })
    }
}
