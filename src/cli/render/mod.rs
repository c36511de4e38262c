//! The figures of the command.
//!
//! `links`, `map`, `panels`, `plots`, `regions`, `sheet` and `strip` each lay out one kind of figure, with the
//! parts in `page` and `scale`, over the picture of `backdrop`. `canvas`, `colours` and `text` draw
//! them. `preview` shows a map in the terminal.

pub mod answers;
pub mod backdrop;
pub mod canvas;
pub mod colours;
pub mod links;
pub mod map;
pub mod page;
pub mod panels;
pub mod plots;
pub mod preview;
pub mod regions;
pub mod scale;
pub mod sheet;
pub mod strip;
pub mod text;
