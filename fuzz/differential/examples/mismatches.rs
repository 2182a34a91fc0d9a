use bowline_differential::{End, mismatches};
fn k(e: &End) -> String {
    match e {
        End::Failed(t) => format!("F:{}", t.chars().take(28).collect::<String>()),
        End::Closed(_) => "Closed".into(),
        End::Eof => "Eof".into(),
    }
}
fn main() {
    let mut seen = std::collections::BTreeMap::<String, (usize, String)>::new();
    let mut check = |data: &[u8]| {
        for m in mismatches(data) {
            if m.row().is_some() {
                continue;
            }
            let key = format!("{:?} {}->{}", m.peer, k(&m.ours.end), k(&m.theirs.end));
            let text = m.to_string();
            let e = seen.entry(key).or_insert((0, text.clone()));
            e.0 += 1;
            if text.len() < e.1.len() {
                e.1 = text;
            }
        }
    };
    for arg in std::env::args().skip(1) {
        for file in std::fs::read_dir(arg).unwrap() {
            let mut data = std::fs::read(file.unwrap().path()).unwrap();
            if data.len() > 300 {
                continue;
            }
            for role in 0..2 {
                data[0] = role;
                for at in 1..data.len().min(40) {
                    check(&data[..at]);
                    for bit in 0..8 {
                        data[at] ^= 1 << bit;
                        check(&data);
                        data[at] ^= 1 << bit;
                    }
                }
            }
        }
    }
    for (k, (n, t)) in seen {
        println!("## {k} x{n}\n{}", t.chars().take(900).collect::<String>());
    }
}
