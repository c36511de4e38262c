//! The engine of the page: the library, compiled to WebAssembly. `worker.js` writes the three arguments of a
//! function of `calls.rs` to the memory that [`argument`] returns: its name, its numbers (64 bits each) and
//! its bytes. [`call`] calls it and returns 0, or 1 and the reason as text. The result is read from the
//! memory that the functions at the end name.
//!
//! One more function, `network`, takes the file of a network. Its number is 0 if multiply-adds may round
//! twice where the machine below has none that rounds once. It returns lines: the network's name, the
//! instruction set, the SHA-256 of the file, and the name of each class.

#![cfg(target_family = "wasm")]

#[path = "../../src/cli/page/calls.rs"]
mod calls;
#[path = "../../src/cli/page/engine.rs"]
mod engine;
mod render;

use std::cell::{Cell, RefCell};
use std::sync::atomic::AtomicBool;

use calls::Answer;
use engine::Opened;
use occlude::{Error, GoogLeNet, Isa, Result, Weights};
use render::colours;
use sha2::{Digest, Sha256};

thread_local! {
    /// A worker that gets another network is replaced, so this one is never freed.
    static NET: Cell<Option<&'static GoogLeNet>> = Cell::default();
    static OPENED: RefCell<Option<Opened>> = RefCell::default();
    static ARGUMENTS: RefCell<[Vec<u8>; 3]> = RefCell::default();
    static RESULT: RefCell<Answer> = RefCell::default();
}

unsafe extern "C" {
    /// Receives the map so far.
    safe fn refined(numbers: *const f32, count: usize, done: usize, total: usize);
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn network(numbers: &[f64], file: &[u8]) -> Result<Answer> {
    let weights = Weights::from_bytes("the network", file)?;
    let net = GoogLeNet::new(&weights)?;
    // Without an instruction for it, exact multiply-adds take twelve times as long.
    let emulated = net.isa().to_string() == "wasm";
    let net = if emulated && numbers == [0.0] { net.with_isa("wasm-unfused".parse::<Isa>()?) } else { net };
    let labels = weights.labels();
    let names: Vec<&str> = (0..labels.count()).map(|class| labels.words(class)).collect();
    let lines = format!("{}\n{}\n{}\n{}", weights.name(), net.isa(), sha256(file), names.join("\n"));
    NET.set(Some(Box::leak(Box::new(net))));
    Ok(Answer { numbers: Vec::new(), bytes: lines.into_bytes() })
}

fn photograph(numbers: &[f64], data: &[u8]) -> Result<Answer> {
    let net = NET.get().ok_or_else(|| Error::Option {
        name: "network",
        found: "nothing".to_string(),
        expected: "a network that was loaded before".to_string(),
    })?;
    let (opened, answer) = calls::photograph(net, numbers, data)?;
    OPENED.set(Some(opened));
    Ok(answer)
}

/// Returns memory for `length` bytes of an argument: 0 the name, 1 the numbers, 2 the bytes.
#[unsafe(no_mangle)]
extern "C" fn argument(place: usize, length: usize) -> *mut u8 {
    ARGUMENTS.with_borrow_mut(|arguments| {
        let argument = &mut arguments[place];
        argument.clear();
        argument.resize(length, 0);
        argument.as_mut_ptr()
    })
}

#[unsafe(no_mangle)]
extern "C" fn call() -> u32 {
    let outcome = ARGUMENTS.with_borrow(|[name, numbers, data]| {
        let numbers: Vec<f64> =
            numbers.as_chunks().0.iter().map(|number| f64::from_le_bytes(*number)).collect();
        match &*String::from_utf8_lossy(name) {
            "network" => network(&numbers, data),
            "photograph" => photograph(&numbers, data),
            name => OPENED.with_borrow(|opened| {
                let refined =
                    |numbers: &[f32], done, total| refined(numbers.as_ptr(), numbers.len(), done, total);
                calls::call(opened.as_ref(), name, &numbers, data, &AtomicBool::new(false), &refined)
            }),
        }
    });
    let (status, answer) = match outcome {
        Ok(answer) => (0, answer),
        Err(error) => (1, Answer { numbers: Vec::new(), bytes: error.to_string().into_bytes() }),
    };
    RESULT.set(answer);
    status
}

#[unsafe(no_mangle)]
extern "C" fn numbers() -> *const f32 {
    RESULT.with_borrow(|answer| answer.numbers.as_ptr())
}

#[unsafe(no_mangle)]
extern "C" fn numbers_count() -> usize {
    RESULT.with_borrow(|answer| answer.numbers.len())
}

/// The bytes of the result; a text is in UTF-8.
#[unsafe(no_mangle)]
extern "C" fn bytes() -> *const u8 {
    RESULT.with_borrow(|answer| answer.bytes.as_ptr())
}

#[unsafe(no_mangle)]
extern "C" fn bytes_count() -> usize {
    RESULT.with_borrow(|answer| answer.bytes.len())
}
