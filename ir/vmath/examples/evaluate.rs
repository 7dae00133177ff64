//! Reads numbers from standard input, writes a function's values to standard output, both as raw little-endian elements.
//! Two arguments come one after the other: all of x, then all of y. `accuracy/measure.py` runs it.

use std::io::{Read, Write};

use legate_jit_vmath::{Float, Func, slice1, slice2};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let usage = "usage: evaluate FUNCTION f32|f64 < numbers > values";
    assert_eq!(args.len(), 3, "{usage}");
    let func = Func::parse(&args[1]).expect(usage);
    let (float, size) = if args[2] == "f32" { (Float::F32, 4) } else { (Float::F64, 8) };
    let mut input = Vec::new();
    std::io::stdin().read_to_end(&mut input).expect("standard input");
    let n = input.len() / size / func.nin();
    let mut output = vec![0u8; n * size];
    // SAFETY: n elements at each address. The loops read and write unaligned.
    unsafe {
        match func.nin() {
            1 => slice1(func, float).expect("one argument")(input.as_ptr(), output.as_mut_ptr(), n),
            _ => {
                let y = input.as_ptr().add(n * size);
                slice2(func, float).expect("two arguments")(input.as_ptr(), 1, y, 1, output.as_mut_ptr(), n)
            }
        }
    }
    std::io::stdout().write_all(&output).expect("standard output");
}
