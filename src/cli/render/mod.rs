//! The pictures that the command draws: `page`, `map`, `panels`, `plots`, `scale`, `strip` and `sheet` lay them out, `canvas`, `colours` and `text` put pixels and
//! letters on a page, `preview` shows a map in the terminal.

pub mod canvas;
pub mod colours;
pub mod map;
pub mod page;
pub mod panels;
pub mod plots;
pub mod preview;
pub mod scale;
pub mod sheet;
pub mod strip;
pub mod text;
