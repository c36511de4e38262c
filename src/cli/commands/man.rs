//! `occlude man`: prints the help of the command and of all its subcommands as one manual page.
//!
//! `clap_mangen` writes a page for a command without its subcommands. This module joins these
//! pages: each subcommand becomes a section, and the sections of its own page become subsections.
//! The text after the options (examples, tables) keeps its line breaks.

use std::io;
use std::process::ExitCode;

use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};
use occlude::Result;

use crate::cli::args::Arguments;
use crate::cli::terminal::console;

pub fn run() -> Result<ExitCode> {
    console::print(&page())?;
    Ok(ExitCode::SUCCESS)
}

fn page() -> String {
    // The subcommand `help` only repeats the help of the others.
    let mut command = Arguments::command().disable_help_subcommand(true);
    command.build();
    // The date is empty, so that the same program always prints the same page.
    let man = Man::new(command.clone()).date("\"\"").manual("User Commands");
    let mut page = roff(|page| {
        man.render_title(page)?;
        man.render_name_section(page)?;
        man.render_synopsis_section(page)?;
        man.render_options_section(page)
    });
    page += &notes("SH", &command);
    for subcommand in command.get_subcommands() {
        page += &sections(subcommand);
    }
    // Each part begins with the same definition of an apostrophe.
    let preamble = Roff::new().render();
    preamble.clone() + &page.replace(&preamble, "")
}

/// The section of a subcommand, and the sections of its own subcommands.
fn sections(command: &Command) -> String {
    // The global options are only at the beginning of the page.
    let own = command.clone().mut_args(|argument| {
        let is_left_out = argument.is_global_set() || argument.get_id() == "help" || argument.is_hide_set();
        argument.hide(is_left_out)
    });
    let has_options = own.get_arguments().any(|argument| !argument.is_hide_set());
    let man = Man::new(own);
    let body = roff(|page| {
        man.render_description_section(page)?;
        man.render_synopsis_section(page)?;
        if has_options { man.render_options_section(page) } else { Ok(()) }
    });
    let title = command.get_bin_name().unwrap_or_else(|| command.get_name()).to_uppercase();
    let mut section = heading("SH", &title) + &body.replace("\n.SH ", "\n.SS ") + &notes("SS", command);
    for subcommand in command.get_subcommands() {
        section += &sections(subcommand);
    }
    section
}

/// The section with the text after the options of a command.
fn notes(level: &str, command: &Command) -> String {
    let Some(notes) = command.get_after_help() else { return String::new() };
    let mut roff = Roff::new();
    roff.control("nf", []);
    for line in notes.to_string().lines() {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
    heading(level, "NOTES") + &roff.render()
}

fn heading(level: &str, title: &str) -> String {
    Roff::new().control(level, [title]).render()
}

/// The text that `write` writes.
fn roff(write: impl FnOnce(&mut dyn io::Write) -> io::Result<()>) -> String {
    let mut page = Vec::new();
    write(&mut page).expect("writing to memory");
    String::from_utf8(page).expect("text of the help")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The command and all its subcommands, at all levels.
    fn all(command: &Command) -> Vec<&Command> {
        let inner = command.get_subcommands().flat_map(all);
        std::iter::once(command).chain(inner).collect()
    }

    #[test]
    fn the_page_has_a_section_for_each_subcommand_and_every_option_of_it() {
        let page = page();
        let mut command = Arguments::command().disable_help_subcommand(true);
        command.build();
        for command in all(&command) {
            let name = command.get_bin_name().unwrap_or("occlude");
            let section = if name == "occlude" {
                page.as_str()
            } else {
                let title = heading("SH", &name.to_uppercase()).replace(&Roff::new().render(), "");
                let start = page.find(&title).unwrap_or_else(|| panic!("no section {title}")) + title.len();
                page[start..].split("\n.SH ").next().unwrap()
            };
            for option in command.get_arguments().filter(|option| !option.is_hide_set()) {
                let is_common = option.is_global_set() && name != "occlude";
                if let Some(long) = option.get_long().filter(|long| !is_common && *long != "help") {
                    let written = format!("\\fB\\-\\-{}\\fR", long.replace('-', "\\-"));
                    assert!(section.contains(&written), "{name}: {written}");
                }
            }
            let notes = command.get_after_help().expect("examples").to_string();
            let example = notes.lines().find(|line| line.starts_with("  occlude ")).expect("an example");
            assert!(section.contains(&example.replace('-', "\\-").replace('\'', "\\*(Aq")), "{example}");
        }
    }
}
