//! Options of `occlude serve`.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;

use super::sweep::Pool;
use super::values::between;

/// Explain photographs in a browser: a page on this machine, with this program behind it
#[derive(Args)]
#[command(after_help = "\
Prints the address of the page on standard output and serves it until Ctrl-C or SIGTERM, which end it with the exit code 0.
Open the address in a browser on this machine. The page names the photograph, draws its map coarse to fine, and shows how
the scores change while you drag the mask. Drop a photograph on it to open that one. The numbers are those of
`occlude explain` to the bit, of any network.

The program listens on 127.0.0.1 only. The address has a random token, and requests without it are refused. The program
opens no file that the page names: photographs are sent by the browser. It keeps the four that were used last.

Examples:
  occlude serve
  occlude serve cat.jpg
  occlude serve cat.jpg --weights bvlc_googlenet.safetensors --port 8080

To use it on another machine over SSH, without --address:
  ssh -L 8080:127.0.0.1:8080 MACHINE occlude serve --port 8080")]
pub struct Serve {
    /// The photograph that the page opens first: PNG, JPEG, WebP, BMP, GIF or TIFF; - is standard input
    /// [default: a sample]
    pub image: Option<PathBuf>,

    /// The port, 1 to 65535, or 0 for any that is free
    #[arg(long, value_name = "N", default_value = "0", allow_hyphen_values = true,
          value_parser = |text: &str| between(text, 0, 65535).map(|port| port as u16))]
    pub port: u16,

    /// The IP address to listen on. With one that other machines reach, everyone who knows the address of
    /// the page can use it, and what is sent is not encrypted
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub address: IpAddr,

    #[command(flatten)]
    pub pool: Pool,
}
