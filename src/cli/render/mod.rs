//! The pictures that the command draws: `figure`, `strip` and `sheet` lay them out, `canvas`, `colours` and `text` put pixels and
//! letters on a page, `preview` shows a map in the terminal.

pub mod canvas;
pub mod colours;
pub mod figure;
pub mod preview;
pub mod sheet;
pub mod strip;
pub mod text;
