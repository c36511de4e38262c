//! The photographs that were opened last.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use crate::cli::page::Opened;

/// The number of photographs that are kept. Each takes about 25 MB and its pixels.
const KEPT: usize = 4;

pub struct Kept {
    pub opened: Opened,
    /// Stops the last sweep.
    sweep: Mutex<Arc<AtomicBool>>,
}

impl Kept {
    pub fn new(opened: Opened) -> Kept {
        Kept { opened, sweep: Mutex::default() }
    }

    /// Stops the sweep before, and returns the flag that stops the next one.
    pub fn next_sweep(&self) -> Arc<AtomicBool> {
        let mut sweep = self.sweep.lock().expect("no panic while it is held");
        sweep.store(true, Ordering::Relaxed);
        *sweep = Arc::default();
        sweep.clone()
    }
}

/// The photographs by the numbers that the page has given them; the one that was used last is at the end.
pub struct Photographs<T = Kept>(Mutex<Vec<(u64, Arc<T>)>>);

impl<T> Photographs<T> {
    pub fn new() -> Photographs<T> {
        Photographs(Mutex::new(Vec::new()))
    }

    pub fn insert(&self, id: u64, photograph: T) {
        let mut all = self.0.lock().expect("no panic while it is held");
        all.retain(|(other, _)| *other != id);
        if all.len() == KEPT {
            all.remove(0);
        }
        all.push((id, Arc::new(photograph)));
    }

    pub fn find(&self, id: u64) -> Option<Arc<T>> {
        let mut all = self.0.lock().expect("no panic while it is held");
        let place = all.iter().position(|(other, _)| *other == id)?;
        all[place..].rotate_left(1);
        all.last().map(|(_, photograph)| photograph.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_photographs_that_were_used_last_are_kept() {
        let photographs = Photographs::new();
        (0..KEPT as u64).for_each(|id| photographs.insert(id, id));
        assert_eq!(photographs.find(0).as_deref(), Some(&0));
        photographs.insert(10, 10);
        photographs.insert(10, 11);
        let found = |id| photographs.find(id).as_deref().copied();
        assert_eq!([0, 1, 2, 10].map(found), [Some(0), None, Some(2), Some(11)]);
    }
}
