use super::*;

#[test]
fn explore() {
    let text = "\u{feff}a: |\r\n  one\r\n  two\r\n\r\nb: >-\n   x\n   y\nc: 'q''q'\nd: \"é\\n\"\ne: é x\nf: [a, {b: c}]\ng:\nh:\n  - 1\n  -\n  - {}\ni: {{ x }}\nj: long\n  plain\n\nk: {a: 1}\n";
    let mut faults = Vec::new();
    let node = parse(text, 0, &mut faults);
    fn show(node: &Node, text: &str, depth: usize) {
        let pad = " ".repeat(depth);
        let raw = &text[range(node.at)];
        match &node.kind {
            Kind::Scalar(t, s) => println!("{pad}{s:?} {t:?} raw {raw:?}"),
            Kind::List(items) => {
                println!("{pad}list raw {raw:?}");
                for i in items {
                    show(i, text, depth + 2)
                }
            }
            Kind::Map(es) => {
                println!("{pad}map raw {raw:?}");
                for e in es {
                    println!("{pad} key {:?} {:?}", e.key, &text[range(e.at)]);
                    show(&e.value, text, depth + 2)
                }
            }
            Kind::Shared(n) => show(n, text, depth),
            Kind::Broken => println!("broken"),
        }
    }
    if let Some(n) = &node {
        show(n, text, 0)
    }
    println!("{faults:#?}");
}
