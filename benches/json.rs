//! Text such as an API sends, without repetitions.

/// Returns `size` bytes that depend on `seed`.
pub(crate) fn json(size: usize, seed: u32) -> String {
    let mut state = seed.wrapping_mul(2_654_435_761);
    let mut below = |count: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) % count
    };
    let mut text = String::with_capacity(size + 128);
    while text.len() < size {
        let names = [
            "ada", "grace", "edsger", "barbara", "donald", "frances", "tony", "radia",
        ];
        let name = names[below(8) as usize];
        let (id, at, price) = (below(1_000_000), below(86_400), below(100_000));
        text += &format!(
            "{{\"id\":{id},\"user\":\"{name}\",\"at\":{at},\"price\":{}.{:02},\"open\":{}}},",
            price / 100,
            price % 100,
            below(2) == 1,
        );
    }
    text.truncate(size);
    text
}
