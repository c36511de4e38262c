//! The forms in which weights are published, recognised by the first bytes of a file. The module of
//! the form checks the rest.

use std::fmt;

use super::protobuf;
use crate::error::{Error, Result};

/// Number of first bytes that are needed to recognise the form.
pub(super) const HEAD: u64 = 32;

/// The form of a weights file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Form {
    /// Safetensors, which this program writes, and in which many PyTorch networks are published.
    Safetensors,
    /// The binary form of Caffe's `NetParameter` message (`.caffemodel`).
    Caffemodel,
    /// Open Neural Network Exchange.
    Onnx,
    /// The output of `torch.save`: a ZIP archive, or a sequence of pickles before PyTorch 1.6.
    Pth,
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Form::Safetensors => "a safetensors file",
            Form::Caffemodel => "a caffemodel",
            Form::Onnx => "an ONNX model",
            Form::Pth => "a PyTorch file (.pth)",
        })
    }
}

const FORMS: &str = "expected a safetensors file, a caffemodel, an ONNX model or a PyTorch file (.pth)";

/// The error message of a build without the feature `pth` for a PyTorch file.
#[cfg(not(feature = "pth"))]
pub(super) const NO_PTH: &str = "a PyTorch file (.pth), which this build does not read because it lacks the feature `pth`; \
    build with it, or save the state dict as safetensors: \
    `safetensors.torch.save_file(model.state_dict(), \"weights.safetensors\")`";

/// The magic number of PyTorch before 1.6, 0x1950a86a20f9469cfc6c, as it is pickled: after LONG1
/// and its length.
const MAGIC: [u8; 12] = [0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

const PICKLE: &str = "a Python pickle that `torch.save` did not write; \
    save the state dict: `torch.save(model.state_dict(), \"weights.pth\")`";

const OLDEST: &str = "a tar archive; if it is a file of PyTorch 0.1, load it and save its state dict with a later version, \
    otherwise unpack it first";

/// Other files that are found under the names of weights files: their first bytes, and a
/// description with advice.
const OTHERS: [(&[u8], &str); 13] = [
    (b"\x80\x02", PICKLE),
    (b"\x80\x03", PICKLE),
    (b"\x80\x04", PICKLE),
    (b"\x80\x05", PICKLE),
    // PyTorch 0.1 wrote a tar archive. Its first entry has this name, or, with Python 3, follows a
    // PAX header.
    (b"sys_info\0", OLDEST),
    (b"././@PaxHeader\0", OLDEST),
    (b"\x89HDF", "an HDF5 file; have Caffe save the network as .caffemodel without .h5"),
    (b"\x1f\x8b", "compressed by gzip; unpack it first (`tar xzf`, or `gunzip`)"),
    (b"version https://git-lfs", "a Git LFS pointer in place of the file; `git lfs pull` fetches the file"),
    (b"<", "a web page or XML, not weights; the download failed"),
    (b"name:", "a network description in text form (.prototxt), without weights; use its .caffemodel"),
    (b"{", "JSON, not weights"),
    (b"\x7fELF", "a program, not weights"),
];

impl Form {
    /// Recognises the form by the first bytes of a file. At least 32 bytes are needed, unless the
    /// file is shorter; further ones are ignored. `name` is used in error messages only.
    ///
    /// # Errors
    /// [`Error::Weights`] if the bytes begin no such file; the message says what they resemble.
    pub fn of(name: &str, head: &[u8]) -> Result<Form> {
        let refuse = |problem: String| Err(Error::weights(name, problem));
        // A safetensors file begins with the length of its header, which can be any bytes, and the
        // header begins with a brace.
        if head.get(8) == Some(&b'{') && head[4..8] == [0; 4] {
            return Ok(Form::Safetensors);
        }
        // The kind of a ZIP archive is known only from its end. In a pickle, the protocol and
        // possibly a frame of 9 bytes precede the magic number.
        let pickled = head.starts_with(b"\x80") && head.windows(MAGIC.len()).take(12).any(|run| run == MAGIC);
        if pickled || head.starts_with(b"PK\x03\x04") {
            return Ok(Form::Pth);
        }
        if let Some((_, what)) = OTHERS.iter().find(|(start, _)| head.starts_with(start)) {
            return refuse(format!("{what}; {FORMS}"));
        }
        if head.is_empty() {
            return refuse(format!("an empty file; {FORMS}"));
        }
        // Writers sort the fields of a message by number. The first field of ONNX is `ir_version`,
        // that of Caffe `name`.
        let mut rest = head;
        let first = protobuf::varint(&mut rest).map(|key| (key >> 3, key & 7));
        match first {
            // `ir_version`, or `graph` from a writer that does not sort.
            Some((1, 0) | (7, 2)) => Ok(Form::Onnx),
            // `name`, or, in a network without a name, `layers`, `input`, `input_dim`,
            // `input_shape` or `layer`.
            Some((1 | 2 | 3 | 8 | 100, 2) | (4, 0)) => Ok(Form::Caffemodel),
            _ => refuse(format!(
                "not a weights file: it begins with {:02x?}; {FORMS}",
                &head[..head.len().min(8)]
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_told_by_its_first_bytes() {
        let safetensors = |length: u64| [&length.to_le_bytes()[..], b"{\"__metadata__\":{"].concat();
        // The last four lengths look like a ZIP archive, a pickle, JSON and a web page.
        for length in [11_000, 0x0403_4b50, 0x280, 0x7b, 0x3c] {
            assert_eq!(Form::of("w", &safetensors(length)).unwrap(), Form::Safetensors, "{length:x}");
        }
        // A network with a name, and networks without one that begin with a layer (old and new) or
        // an input.
        let caffe: [&[u8]; 4] =
            [b"\x0a\x09GoogleNet\x12\x05", b"\x12\x99\x01", b"\xa2\x06\x10", b"\x1a\x04data"];
        for head in caffe {
            assert_eq!(Form::of("w", head).unwrap(), Form::Caffemodel, "{head:x?}");
        }
        for head in [&b"\x08\x03\x12\x06caffe2"[..], b"\x08\x08", b"\x3a\x80\x01"] {
            assert_eq!(Form::of("w", head).unwrap(), Form::Onnx, "{head:x?}");
        }
        // The first bytes of PyTorch's files: since 1.6, before, and before with protocol 4.
        let torch: [&[u8]; 3] = [
            b"PK\x03\x04\x00\x00\x08\x08",
            b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.",
            b"\x80\x04\x95\x0d\0\0\0\0\0\0\0\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.",
        ];
        for head in torch {
            assert_eq!(Form::of("w", head).unwrap(), Form::Pth, "{head:x?}");
            assert!(head.len() < HEAD as usize);
        }
    }

    #[test]
    fn what_else_is_called_weights_is_told_what_to_do() {
        let cases: [(&[u8], &str); 13] = [
            (b"\x80\x02\x8a\x0a", "a Python pickle"),
            (b"\x80\x04\x95\x0c\x00\x00\x00\x00\x00\x00\x00}", "a Python pickle"),
            (b"sys_info\0\0\0", "PyTorch 0.1"),
            (b"././@PaxHeader\0\0", "PyTorch 0.1"),
            (b"\x89HDF\r\n\x1a\n", "HDF5"),
            (b"\x1f\x8b\x08", "unpack it first"),
            (b"version https://git-lfs.github.com/spec/v1", "git lfs pull"),
            (b"<!DOCTYPE html>", "a web page"),
            (b"name: \"GoogleNet\"", ".prototxt"),
            (b"{\"a\": 1}", "JSON"),
            (b"", "an empty file"),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "begins with [ff, ff"),
            (b"\x00", "not a weights file"),
        ];
        for (head, expected) in cases {
            let problem = Form::of("w", head).unwrap_err().to_string();
            assert!(
                problem.contains(expected) && problem.contains("expected a safetensors file"),
                "{problem}"
            );
        }
    }
}
