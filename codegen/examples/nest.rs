use legate_jit_codegen::*;
struct Print;
impl Sink for Print {
    fn wants(&self, s: Stage) -> bool {
        std::env::args().nth(2).is_some_and(|a| {
            a.split(',').any(|a| {
                a == match s {
                    Stage::Mlir => "mlir",
                    Stage::Llvm => "llvm",
                    Stage::Asm => "asm",
                }
            })
        })
    }
    fn take(&mut self, _: Stage, t: &str) {
        println!("{t}")
    }
}
fn main() {
    let text = std::fs::read_to_string(std::env::args().nth(1).unwrap()).unwrap();
    let source: Source = text.parse().unwrap();
    let w = Workshop::new(&CpuTarget::host().unwrap()).unwrap();
    for k in 0..3 {
        let o = if k == 0 { w.compile_source(&source, &mut Print) } else { w.compile_source(&source, &mut ()) };
        match o {
            Ok(o) => {
                eprintln!("{:?}", o.times);
                if let Err(e) = load(&o) {
                    eprintln!("load: {e}")
                }
            }
            Err(e) => eprintln!("ERR {e}"),
        }
    }
}
