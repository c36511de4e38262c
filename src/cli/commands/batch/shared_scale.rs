//! The figures of drops on one scale, `--scale shared`. The scale is known when the maps of all
//! photographs are. So a batch first stores the results of each photograph without these figures, and at
//! its end draws them from the stored scores, one photograph after the other.

use occlude::{Error, Result};

use super::job::BatchJob;
use super::record::{Drawn, Record, SharedScale};
use super::row::{Status, SummaryRow};
use crate::cli::explanation::{Explanation, LoadedPhotograph, Stored};
use crate::cli::photographs::PhotographFile;
use crate::cli::render::scale::range;
use crate::cli::terminal::interrupt;

/// The files of a photograph, by their names.
type Contents = Vec<(String, Vec<u8>)>;

impl BatchJob<'_> {
    /// Draws the figures of drops of all photographs with results on the scale of them all, unless they
    /// are drawn on it already. The row of a photograph that cannot be drawn becomes that of a failure.
    ///
    /// # Errors
    /// [`Error::Cancelled`].
    pub fn draw_on_shared_scale(
        &self,
        photographs: &[PhotographFile],
        rows: &mut [SummaryRow],
    ) -> Result<()> {
        let done = |row: &SummaryRow| row.status == Status::Done;
        let with_results = photographs.iter().zip(&*rows).filter(|(_, row)| done(row));
        let ends = with_results.filter_map(|(file, _)| Some(self.stored(file).ok()?.1.drops));
        let ends: Vec<f32> = ends.flatten().collect();
        let scale = range(&ends);
        // Figures on an earlier scale go before the first one is drawn, so that all figures that an
        // interruption leaves have one scale.
        for step in [Self::remove_others, Self::draw] {
            for (at, (file, row)) in photographs.iter().zip(&mut *rows).enumerate() {
                interrupt::check()?;
                self.bar.show_drawn(at, photographs.len());
                if done(row)
                    && let Err(error) = step(self, file, scale)
                {
                    *row = self.fail(file, &error);
                }
            }
        }
        Ok(())
    }

    /// Removes the figures of a photograph on another scale.
    fn remove_others(&self, file: &PhotographFile, scale: [f32; 2]) -> Result<()> {
        let (record, shared) = self.stored(file)?;
        match shared.drawn {
            Some(drawn) if drawn.scale != scale => {
                let files =
                    record.contents(&self.folder(file), &drawn.figures).ok_or_else(|| changed(file))?;
                self.store(file, files, &record.row, Some(SharedScale { drawn: None, ..shared }))
            }
            _ => Ok(()),
        }
    }

    /// Draws the figures of a photograph that has none yet.
    fn draw(&self, file: &PhotographFile, scale: [f32; 2]) -> Result<()> {
        let (_, shared) = self.stored(file)?;
        if shared.drawn.is_some() {
            return Ok(());
        }
        let (record, mut files, explanation) = self.restored(file)?;
        let [drops, _] = self.args.figures.divided();
        let drawn = explanation.figures(&drops, scale);
        let figures = drawn.iter().map(|(name, _)| name.clone()).collect();
        files.extend(drawn);
        self.store(
            file,
            files,
            &record.row,
            Some(SharedScale { drawn: Some(Drawn { scale, figures }), ..shared }),
        )
    }

    /// The record, the files and the explanation of a photograph with results.
    pub fn restored(&self, file: &PhotographFile) -> Result<(Record, Contents, Explanation)> {
        let record = Record::read(&self.folder(file)).filter(|record| record.recipe == *self.recipe);
        let record = record.ok_or_else(|| changed(file))?;
        let files = record.contents(&self.folder(file), &[]).ok_or_else(|| changed(file))?;
        let source = LoadedPhotograph::read(&file.path)?;
        let map = files.iter().find(|(name, _)| name == "map.json");
        let stored: Option<Stored> = map.and_then(|(_, json)| serde_json::from_slice(json).ok());
        let (Some(stored), true) = (stored, record.row.sha256.as_ref() == Some(&source.sha256)) else {
            return Err(changed(file));
        };
        let explanation = self.session.restore(&source, &self.question(file), stored)?;
        Ok((record, files, explanation))
    }

    /// The record of a photograph with results.
    fn stored(&self, file: &PhotographFile) -> Result<(Record, SharedScale)> {
        let record = Record::read(&self.folder(file)).filter(|record| record.recipe == *self.recipe);
        let stored = record.and_then(|record| Some((record.shared.clone()?, record)));
        stored.map(|(shared, record)| (record, shared)).ok_or_else(|| changed(file))
    }
}

fn changed(file: &PhotographFile) -> Error {
    Error::Image {
        name: file.shown.clone(),
        problem: "the photograph, or its results, have changed since the sweep; run the same command again"
            .to_string(),
    }
}
