//! Options of `occlude completions` and `occlude man`.

use clap::Args;
use clap_complete::Shell;

/// Print a script by which a shell completes subcommands, options and file names
#[derive(Args)]
#[command(after_help = "\
The script goes where the shell looks for it; a new shell then completes `occlude` after the tab key.
zsh looks in the folders of $fpath, so FOLDER below is one of these. PowerShell reads $PROFILE when it starts.

Examples:
  occlude completions bash > ~/.local/share/bash-completion/completions/occlude
  occlude completions zsh > FOLDER/_occlude
  occlude completions fish > ~/.config/fish/completions/occlude.fish
  occlude completions elvish >> ~/.config/elvish/rc.elv
  occlude completions powershell >> $PROFILE")]
pub struct Completions {
    /// The shell that the script is for
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

/// Print the manual page: this help and that of every subcommand, as roff for the program man
#[derive(Args)]
#[command(after_help = "\
`man` looks for the page in the folders that `manpath` prints. The folder must exist.

Examples:
  occlude man | man -l -
  occlude man > ~/.local/share/man/man1/occlude.1")]
pub struct Man {}
