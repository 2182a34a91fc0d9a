/// Returns the first name after `crate::` of each path in `text`: the modules that it imports from.
/// Comments and the tests at the end of a file are ignored. A `super::super` that leaves the module
/// counts as a path from the crate.
pub(crate) fn imported(text: &str) -> Vec<String> {
    let code = code(text);
    let mut found = Vec::new();
    for (at, word) in code.match_indices("crate::") {
        let before = code[..at].chars().next_back();
        if before.is_none_or(|char| !is_of_name(char) && char != ':' && char != '$') {
            names(&code[at + word.len()..], &mut found);
        }
    }
    for (at, word) in code.match_indices("super::super::") {
        names(&code[at + word.len()..], &mut found);
    }
    found.sort();
    found.dedup();
    found
}

/// Returns the code of each file, without comments and without modules under `#[cfg(test)]`.
fn code(text: &str) -> String {
    let mut code = String::new();
    let mut in_tests = false;
    for line in text.lines() {
        if line.starts_with("#[cfg(") && line.contains("test") {
            in_tests = true;
        }
        if !in_tests {
            let line = line.split("//").next().unwrap_or_default();
            code.push_str(line);
            code.push('\n');
        }
        // Such a module ends at the next line that begins with a brace.
        if in_tests && line.starts_with('}') {
            in_tests = false;
        }
    }
    code
}

/// Returns the first name of `path`, or of each of its parts in braces.
fn names(path: &str, found: &mut Vec<String>) {
    let path = path.trim_start();
    let Some(list) = path.strip_prefix('{') else {
        let end = path.find(|char| !is_of_name(char)).unwrap_or(path.len());
        found.push(path[..end].to_owned());
        return;
    };
    let (mut depth, mut start) = (0, 0);
    for (at, char) in list.char_indices() {
        match char {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                let part = list[start..at].trim();
                if !part.is_empty() {
                    names(part, found);
                }
                start = at + 1;
                if char == '}' {
                    return;
                }
            }
            _ => {}
        }
    }
}

fn is_of_name(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}
