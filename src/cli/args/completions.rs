//! Options of `occlude completions` and `occlude man`.

use clap::Args;
use clap_complete::Shell;

/// Print a completion script for a shell: subcommands, options and file names
#[derive(Args)]
#[command(after_help = "\
Write the script to the place where the shell searches for it, as in the examples, and start a new shell. For zsh, FOLDER is
one of the folders in $fpath. PowerShell reads $PROFILE when it starts.

Examples:
  occlude completions bash > ~/.local/share/bash-completion/completions/occlude
  occlude completions zsh > FOLDER/_occlude
  occlude completions fish > ~/.config/fish/completions/occlude.fish
  occlude completions elvish >> ~/.config/elvish/rc.elv
  occlude completions powershell >> $PROFILE")]
pub struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

/// Print the manual page, the help of all subcommands in the format of the program man
#[derive(Args)]
#[command(after_help = "\
The program man searches for pages in the folders printed by `manpath`. The folder in the example must exist.

Examples:
  occlude man | man -l -
  occlude man > ~/.local/share/man/man1/occlude.1")]
pub struct Man {}
