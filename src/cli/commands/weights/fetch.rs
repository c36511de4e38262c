//! `occlude weights fetch`: downloads weights from the first source that delivers them, checks
//! them, converts them and installs them.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use occlude::text::escaped;
use occlude::weights::cache_file;
use occlude::{Error, Result};

use super::download::{Download, Failure, Partial, blame, lock_target, remove_partial};
use super::import::install;
use super::manifest::{DownloadSource, Manifest, read_sources};
use crate::cli::address::{check_scheme, redacted, server};
use crate::cli::args::{Common, Fetch, FetchLimits};
use crate::cli::checksum::{Checksum, file_sha256, read_and_hash};
use crate::cli::output::files;
use crate::cli::terminal::console;
use crate::cli::terminal::interrupt::DeferredSignals;
use crate::cli::weights::describe::form_of;
use crate::cli::weights::with_labels;

const BY_HAND: &str = "download the file with another program and run: occlude weights import FILE";

pub fn run(common: &Common, args: &Fetch) -> Result<ExitCode> {
    console::print(&fetch(common, args)?)?;
    Ok(ExitCode::SUCCESS)
}

/// The requested sources or the requested address.
enum Wanted {
    /// These sources, in order, until one delivers the file.
    Sources(Vec<DownloadSource>),
    Address(String, Option<Checksum>),
}

impl Wanted {
    fn of(args: &Fetch, sources: Vec<DownloadSource>) -> Result<Wanted> {
        let from = if args.torchvision { Some("torchvision") } else { args.from.as_deref() };
        let Some(from) = from else {
            return Ok(Wanted::Sources(sources.into_iter().filter(|source| source.file.is_none()).collect()));
        };
        if let Some(source) = sources.iter().find(|source| source.name == from) {
            if args.checksum.is_some() {
                return Err(Error::Option {
                    name: "--checksum",
                    found: format!("with --from {from}"),
                    expected: "--from with an address, because the checksums of the sources are known"
                        .to_string(),
                });
            }
            return Ok(Wanted::Sources(vec![source.clone()]));
        }
        match check_scheme(from) {
            Ok(()) => Ok(Wanted::Address(from.to_string(), args.checksum.clone())),
            Err(_) => {
                let names: Vec<&str> = sources.iter().map(|source| source.name.as_str()).collect();
                let names = names.join(", ");
                let expected = format!("an address that begins with http:// or https://, or one of {names}");
                Err(Error::Option { name: "--from", found: redacted(from), expected })
            }
        }
    }

    /// True if only the published network is accepted.
    fn is_published(&self) -> bool {
        match self {
            Wanted::Sources(sources) => sources.iter().all(|source| source.file.is_none()),
            Wanted::Address(_, checksum) => checksum.is_none(),
        }
    }

    /// The default path of the downloaded file.
    fn default_place(&self) -> Option<PathBuf> {
        let published = cache_file()?;
        match self {
            Wanted::Sources(sources) => match sources.iter().find_map(|source| source.file.as_ref()) {
                Some(file) => Some(published.with_file_name(file)),
                None => Some(published),
            },
            Wanted::Address(..) => Some(published),
        }
    }
}

/// Downloads, checks and converts the weights. Returns the text for standard output.
fn fetch(common: &Common, args: &Fetch) -> Result<String> {
    let sources = match &args.sources {
        Some(file) => read_sources(file)?,
        None => Manifest::published().sources,
    };
    let wanted = Wanted::of(args, sources)?;
    if let (Wanted::Address(_, Some(_)), None) = (&wanted, &args.out) {
        return Err(Error::Option {
            name: "--out",
            found: "without a value".to_string(),
            expected: "a file: with --checksum, other weights than the published ones are accepted, and these must not be \
                       written to the default path of the published ones"
                .to_string(),
        });
    }
    let out = args.out.clone().or_else(|| wanted.default_place()).ok_or_else(|| Error::Option {
        name: "--out",
        found: "without a value".to_string(),
        expected:
            "a file, because the user's cache directory is not known (the environment does not define it)"
                .to_string(),
    })?;
    files::check_apart(&out)?;
    if out.exists() && !args.force {
        if wanted.is_published() && file_sha256(&out)? == Manifest::published().sha256 {
            let out = console::shown_path(&out);
            return Ok(format!("unchanged {out}, already the published file\n"));
        }
        return Err(Error::Weights {
            name: out.display().to_string(),
            problem: "the file exists already: replace it with --force, or name another file with --out"
                .to_string(),
        });
    }

    // Signals are deferred until the weights are installed or the temporary files are removed.
    let _deferred = DeferredSignals::new();
    let _lock = lock_target(&out)?;
    let job = FetchJob { common, out: &out, force: args.force, limits: args.limits };
    match &wanted {
        Wanted::Sources(sources) => {
            let text = try_sources(sources, console::print_note, |source| {
                job.run(&source.url, source.size, Some(&source.checksum))
            })?;
            for source in sources {
                // Parts of interrupted downloads from other sources.
                remove_partial(&out, &source.checksum);
            }
            Ok(text)
        }
        Wanted::Address(url, checksum) => job
            .run(url, None, checksum.as_ref())
            .map_err(|failure| single_source_error(redacted(url), failure)),
    }
}

/// The settings that all sources share.
struct FetchJob<'a> {
    common: &'a Common,
    out: &'a Path,
    force: bool,
    limits: FetchLimits,
}

impl FetchJob<'_> {
    fn run(
        &self,
        url: &str,
        size: Option<u64>,
        checksum: Option<&Checksum>,
    ) -> std::result::Result<String, Failure> {
        let mut partial = Partial::open(self.out, checksum)?;
        Download { url, size, limits: self.limits }.run(&mut partial)?;
        let text = self.install(url, checksum.is_some(), &mut partial);
        if !matches!(text, Err(Failure::Here(_))) {
            // A file that is not weights is of no use to a later download.
            partial.discard();
        }
        text
    }

    fn install(
        &self,
        url: &str,
        checked: bool,
        partial: &mut Partial,
    ) -> std::result::Result<String, Failure> {
        let shown = redacted(url);
        let size = partial.length();
        let form = form_of(&shown, partial.rewound()?).map_err(of_content)?;
        let (weights, sha256) = read_and_hash(&shown, size, partial.rewound()?, self.common.transform_input)
            .map_err(of_content)?;
        let weights = with_labels(self.common, weights)?;
        let manifest = Manifest::published();
        let differing = manifest.differing(&weights);
        if !checked && !differing.is_empty() {
            return Err(blame(format!(
                "it is not the published network (tensors: {}); to accept it, give its checksum with --checksum",
                manifest.compared(&differing)
            )));
        }
        let source = format!("{shown}, {form}, sha256 {sha256}");
        Ok(install(&weights, &source, self.out, self.force)?)
    }
}

/// Turns an error of the library about the content of a file into a failure of the source.
fn of_content(error: Error) -> Failure {
    match error {
        Error::Weights { problem, .. } => blame(problem),
        error => Failure::Here(error),
    }
}

/// Tries the sources in order until one succeeds. Passes the reason of each failure to `note`, if
/// there is more than one source.
fn try_sources(
    sources: &[DownloadSource],
    mut note: impl FnMut(&str),
    mut attempt: impl FnMut(&DownloadSource) -> std::result::Result<String, Failure>,
) -> Result<String> {
    if let [source] = sources {
        let name = format!("{} ({})", source.name, redacted(&source.url));
        return attempt(source).map_err(|failure| single_source_error(name, failure));
    }
    let mut unreachable_servers = HashSet::new();
    for (i, source) in sources.iter().enumerate() {
        let name = format!("{} ({})", source.name, redacted(&source.url));
        let reason = if unreachable_servers.contains(server(&source.url)) {
            "not tried, because its server cannot be reached".to_string()
        } else {
            match attempt(source) {
                Ok(text) => return Ok(text),
                Err(Failure::Source { reason, unreachable }) => {
                    if unreachable {
                        unreachable_servers.insert(server(&source.url));
                    }
                    reason
                }
                Err(Failure::Here(error)) => return Err(error),
            }
        };
        let next = sources.get(i + 1).map_or(String::new(), |next| format!("; trying {}", next.name));
        note(&escaped(&format!("{name}: {reason}{next}")));
    }
    Err(Error::Weights {
        name: "the published weights".to_string(),
        problem: format!(
            "all {} sources failed, for the reasons above: try again, name another address with --from, or {BY_HAND}",
            sources.len()
        ),
    })
}

fn single_source_error(name: String, failure: Failure) -> Error {
    match failure {
        Failure::Source { reason, .. } => Error::Weights {
            name,
            problem: format!("{reason}; try another source with --from, or {BY_HAND}"),
        },
        Failure::Here(error) => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::Arguments;
    use clap::CommandFactory;

    fn source(name: &str, url: &str) -> DownloadSource {
        let checksum = Checksum::Sha1("a".repeat(40));
        DownloadSource { name: name.to_string(), url: url.to_string(), size: None, checksum, file: None }
    }

    #[test]
    fn sources_are_tried_in_order_except_on_unreachable_servers() {
        let names = [
            ("a", "https://x/1"),
            ("b", "https://me:secret@x/2"),
            ("c", "https://y/1"),
            ("d", "https://y/2"),
        ];
        let sources = names.map(|(name, url)| source(name, url));
        let attempts = |good: &str| {
            let (mut tried, mut notes) = (String::new(), Vec::new());
            let result = try_sources(
                &sources,
                |note| notes.push(note.to_string()),
                |source| {
                    tried += &source.name;
                    match source.name.as_str() {
                        name if name == good => Ok(format!("from {name}")),
                        "a" => Err(Failure::Source { reason: "unplugged".to_string(), unreachable: true }),
                        _ => Err(blame("lost")),
                    }
                },
            );
            (tried, notes, result.map_err(|error| error.to_string()))
        };
        assert_eq!(attempts("a"), ("a".to_string(), Vec::new(), Ok("from a".to_string())));
        let not_tried = "b (https://***@x/2): not tried, because its server cannot be reached; trying c";
        let mut expected =
            vec!["a (https://x/1): unplugged; trying b", not_tried, "c (https://y/1): lost; trying d"];
        let (tried, notes, result) = attempts("d");
        assert_eq!((tried.as_str(), result), ("acd", Ok("from d".to_string())));
        assert_eq!(notes, expected);
        let (tried, notes, result) = attempts("b");
        let error = result.unwrap_err();
        expected.push("d (https://y/2): lost");
        assert_eq!((tried.as_str(), notes), ("acd", expected.iter().map(|note| note.to_string()).collect()));
        assert!(error.contains("all 4 sources failed") && error.contains("import FILE"), "{error}");
        // A failure that concerns all sources.
        let mut count = 0;
        let cancelled = try_sources(
            &sources,
            |_| {},
            |_| {
                count += 1;
                Err(Failure::Here(Error::Cancelled))
            },
        );
        assert!(matches!(cancelled, Err(Error::Cancelled)) && count == 1);
    }

    #[test]
    fn the_help_lists_the_sources() {
        let mut command = Arguments::command();
        let weights = command.find_subcommand_mut("weights").unwrap();
        let help = weights.find_subcommand_mut("fetch").unwrap().render_long_help().to_string();
        let help = help.split_once("Sources. Without").expect("a list").1;
        let mut at = 0;
        for source in Manifest::published().sources {
            let found = help[at..].find(&source.name).unwrap_or_else(|| panic!("{} after {at}", source.name));
            at += found;
            assert!(help.contains(server(&source.url)), "{}", source.url);
        }
    }
}
