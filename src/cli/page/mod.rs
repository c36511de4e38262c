//! The page: its text, and the functions behind it. `web/` takes them in as they are and compiles them to
//! WebAssembly; `occlude serve` calls them over HTTP.

pub mod calls;
mod engine;
pub mod text;

use crate::cli::checksum::sha256;
use crate::cli::render::colours;
pub use engine::Opened;
