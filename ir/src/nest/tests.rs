use super::code::Ins;
use super::*;

fn program() -> Program {
    let ins = |name: &str, operands: &[u32]| Ins::new(name, operands).unwrap();
    Program {
        code: vec![
            ins("load_f64_1", &[0, 0, 0]),
            ins("function", &[0, 0, 0]),
            ins("index", &[1, 0, 0, 3]),
            ins("jump_if", &[1, 5]),
            ins("leave", &[]),
            ins("end_round", &[]),
        ],
        items: vec![Item::Int(1), Item::Slice(Some(2), None, -2), Item::New],
        functions: vec!["math.exp".into()],
        ints: 3,
        floats: 4,
        views: 2,
        memories: 1,
        int_constants: vec![(2, -7)],
        float_constants: vec![(1, 0.1f64.to_bits()), (2, (-0.0f64).to_bits()), (3, 0x7ff8_0000_0000_0001)],
        arrays: vec![Given { register: 0, dtype: DType::F64, axes: 2, written: true, unit: true }],
        variable: 0,
        kept_ints: vec![1],
        kept_floats: vec![0],
    }
}

#[test]
fn what_is_printed_parses_back() {
    let program = program();
    let text = program.to_string();
    assert_eq!(text.parse::<Program>().as_ref(), Ok(&program), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn operands_without_what_they_name_are_refused() {
    assert_eq!(program().check(), Ok(()));
    type Change = fn(&mut Program);
    let changes: [Change; 10] = [
        |p| p.ints = 2,
        |p| p.floats = 0,
        |p| p.views = 1,
        |p| p.functions.clear(),
        |p| p.items.truncate(2),
        |p| p.items[1] = Item::Slice(None, None, 0),
        |p| p.code.truncate(2),
        |p| p.variable = 3,
        |p| p.arrays[0].axes = AXES + 1,
        |p| p.code[3].b = 3,
    ];
    for (n, change) in changes.into_iter().enumerate() {
        let mut changed = program();
        change(&mut changed);
        assert!(changed.check().is_err(), "change {n}");
    }
}

#[test]
fn other_texts_are_errors() {
    let text = program().to_string();
    for (n, _) in text.lines().enumerate() {
        let without: Vec<&str> = text.lines().enumerate().filter(|(k, _)| *k != n).map(|(_, l)| l).collect();
        // (Without a constant, a kept register or the whole list of arrays it is another nest.)
        if let Ok(other) = without.join("\n").parse::<Program>() {
            assert_ne!(other, program());
        }
    }
    assert!("nest".parse::<Program>().is_err());
    assert!("kernel() rank 1 {\n}\n".parse::<Program>().is_err());
}
