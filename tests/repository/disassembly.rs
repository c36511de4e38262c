//! Looks at the machine code of the kernels: a sum that the compiler keeps in memory costs a store and
//! a load for every product, which no other test notices, because the results are the same.

use std::ops::Range;
use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

/// An instruction: its address and its text.
type Instruction = (u64, String);

/// The disassembled functions of a program, by name.
fn functions(disassembly: &str) -> Vec<(String, Vec<Instruction>)> {
    let mut functions: Vec<(String, Vec<Instruction>)> = Vec::new();
    for line in disassembly.lines() {
        if let Some((address, name)) = line.strip_suffix(">:").and_then(|line| line.split_once(" <")) {
            if u64::from_str_radix(address, 16).is_ok() {
                functions.push((name.to_string(), Vec::new()));
            }
        } else if let (Some((address, text)), Some((_, body))) = (line.split_once(':'), functions.last_mut())
            && let Ok(address) = u64::from_str_radix(address.trim(), 16)
        {
            body.push((address, text.trim().to_string()));
        }
    }
    functions
}

/// The innermost loops of a function: from the target of a jump backwards to the jump.
fn inner_loops(body: &[Instruction]) -> Vec<Range<usize>> {
    let mut loops: Vec<Range<usize>> = Vec::new();
    for (end, (_, text)) in body.iter().enumerate() {
        let mut words = text.split_whitespace();
        let target = words.next().filter(|name| name.starts_with('j')).and_then(|_| words.next());
        let Some(target) = target.and_then(|target| u64::from_str_radix(target, 16).ok()) else { continue };
        if let Ok(start) = body.binary_search_by_key(&target, |(address, _)| *address)
            && start <= end
        {
            loops.push(start..end + 1);
        }
    }
    let is_inside = |a: &Range<usize>, b: &Range<usize>| a != b && a.start >= b.start && a.end <= b.end;
    let is_innermost = |this: &&Range<usize>| !loops.iter().any(|other| is_inside(other, this));
    loops.iter().filter(is_innermost).cloned().collect()
}

/// The loops of the kernels that multiply and add, and the lines among them that keep a vector on the
/// stack.
fn examine(disassembly: &str) -> (usize, Vec<String>) {
    let (mut count, mut faults) = (0, Vec::new());
    for (name, body) in functions(disassembly) {
        if !name.contains("kernels::conv") || !(name.ends_with("::avx2") || name.ends_with("::avx512")) {
            continue;
        }
        for range in inner_loops(&body) {
            let lines = &body[range];
            if !lines.iter().any(|(_, text)| text.starts_with("vfmadd")) {
                continue;
            }
            count += 1;
            let is_vector =
                |text: &str| ["%xmm", "%ymm", "%zmm"].iter().any(|register| text.contains(register));
            let on_stack = lines.iter().filter(|(_, text)| text.contains("(%rsp") && is_vector(text));
            faults.extend(on_stack.map(|(address, text)| format!("{name} {address:x}: {text}")));
        }
    }
    (count, faults)
}

/// The library that this program was built with. Programs have no names of functions, libraries have them.
fn library() -> PathBuf {
    let program = env::current_exe().unwrap();
    let files = fs::read_dir(program.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
    let is_library = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with("libocclude-") && name.ends_with(".rlib")
    };
    let built = |path: &PathBuf| path.metadata().unwrap().modified().unwrap();
    files.filter(is_library).max_by_key(built).expect("cargo builds the library before its tests")
}

#[cfg(target_arch = "x86_64")]
#[test]
fn no_inner_loop_of_a_kernel_keeps_sums_on_the_stack() {
    if cfg!(debug_assertions) {
        return eprintln!("SKIPPED: code with debug assertions is not what users run");
    }
    let objdump = Command::new("objdump").args(["-d", "-C", "--no-show-raw-insn"]).arg(library()).output();
    let Ok(output) = objdump else {
        assert!(env::var_os("OCCLUDE_REQUIRE_CC").is_none(), "objdump, which is beside cc, is missing");
        return eprintln!("SKIPPED: there is no objdump");
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (count, faults) = examine(&String::from_utf8_lossy(&output.stdout));
    assert!(count >= 60, "only {count} loops of kernels were found: have they other names?");
    assert!(faults.is_empty(), "sums on the stack:\n{}", faults.join("\n"));
}

#[test]
fn a_sum_on_the_stack_is_found() {
    let spilled = "
0000000000001000 <occlude::kernels::convolution::convolve_batch::avx2>:
    1000:\tmov    %rsp,%rbp
    1003:\tvmovups (%rax),%ymm1
    1007:\tvfmadd231ps %ymm0,%ymm1,%ymm2
    100c:\tvmovups %ymm2,0x20(%rsp)
    1011:\tdec    %rcx
    1014:\tjne    1003 <occlude::kernels::convolution::convolve_batch::avx2+0x3>
    1016:\tvmovups %ymm3,0x40(%rsp)
    101b:\tjne    1000 <occlude::kernels::convolution::convolve_batch::avx2>
";
    let (count, faults) = examine(spilled);
    assert_eq!((count, faults.len()), (1, 1), "{faults:?}");
    assert!(faults[0].contains("100c: vmovups %ymm2,0x20(%rsp)"), "{faults:?}");
    let kept = spilled.replace("vmovups %ymm2,0x20(%rsp)", "mov    0x20(%rsp),%rdx");
    assert_eq!(examine(&kept), (1, vec![]));
}
