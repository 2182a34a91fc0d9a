//! The grammar of `Sec-WebSocket-Extensions` (RFC 6455 §9.1).
//!
//! ```text
//! extension-list  = 1#extension
//! extension       = token *( ";" extension-param )
//! extension-param = token [ "=" (token | quoted-string) ]
//! ```

use alloc::{borrow::Cow, vec::Vec};

use super::{
    error::Disagreement,
    headers::{Headers, Repeated, is_token},
};

/// An extension that is offered or accepted, with its parameters.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Extension<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) params: Vec<Param<'a>>,
}

/// A parameter's name and value, unescaped.
type Param<'a> = (&'a [u8], Option<Cow<'a, [u8]>>);

/// The header field that lists extensions.
pub(crate) const FIELD: &str = "Sec-WebSocket-Extensions";

/// Whether every such field is a valid list of extensions. §9.1: of a value "that does not conform to the ABNF …
/// the recipient … MUST immediately _Fail".
pub(super) fn are_valid(headers: &Headers) -> bool {
    headers.get_all(FIELD).all(|value| parse(value).is_some())
}

/// Returns the extensions that a server picked, or none if there is no such field.
///
/// RFC 9110 §5.6.1 lets us ignore empty elements, but they "do not contribute to the count", and `1#extension`
/// needs one. §4.2.2: "The empty string is not the same as the null value".
pub(crate) fn picked(response: &Headers) -> Result<Vec<Extension<'_>>, Disagreement> {
    // §11.3.2: it "MUST NOT appear more than once in an HTTP response".
    let field = response
        .single(FIELD)
        .map_err(|Repeated| Disagreement::Extensions)?;
    field.map_or(Ok(Vec::new()), |field| {
        parse(field).ok_or(Disagreement::Extensions)
    })
}

/// Parses the extensions in one field, in linear time. Returns `None` if the field is malformed.
pub(crate) fn parse(value: &[u8]) -> Option<Vec<Extension<'_>>> {
    let mut extensions = Vec::new();
    let mut rest = skip_space(value);
    loop {
        // RFC 9110 §5.6.1.2: recipients "MUST parse and ignore a reasonable number of empty list
        // elements".
        while let Some(more) = rest.strip_prefix(b",") {
            rest = skip_space(more);
        }
        if rest.is_empty() {
            return (!extensions.is_empty()).then_some(extensions);
        }
        let (name, more) = take_token(rest)?;
        let mut params = Vec::new();
        rest = skip_space(more);
        while let Some(more) = rest.strip_prefix(b";") {
            let (param, more) = take_param(skip_space(more))?;
            params.push(param);
            rest = skip_space(more);
        }
        extensions.push(Extension { name, params });
        if !rest.is_empty() && !rest.starts_with(b",") {
            return None;
        }
    }
}

fn take_param(input: &[u8]) -> Option<(Param<'_>, &[u8])> {
    let (name, rest) = take_token(input)?;
    let Some(rest) = skip_space(rest).strip_prefix(b"=") else {
        return Some(((name, None), rest));
    };
    let rest = skip_space(rest);
    let (value, rest) = match rest.strip_prefix(b"\"") {
        Some(quoted) => take_quoted(quoted)?,
        None => take_token(rest).map(|(value, rest)| (Cow::Borrowed(value), rest))?,
    };
    Some(((name, Some(value)), rest))
}

/// Takes a quoted string. §9.1: "the value after quoted-string unescaping MUST conform to the 'token' ABNF".
fn take_quoted(input: &[u8]) -> Option<(Cow<'_, [u8]>, &[u8])> {
    let mut value = Vec::new();
    let mut bytes = input.iter();
    loop {
        match bytes.next()? {
            b'"' => break,
            b'\\' => value.push(*bytes.next()?),
            byte => value.push(*byte),
        }
    }
    is_token(&value).then_some((Cow::Owned(value), bytes.as_slice()))
}

fn take_token(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let len = input
        .iter()
        .position(|byte| !is_token(&[*byte]))
        .unwrap_or(input.len());
    let (token, rest) = input.split_at_checked(len)?;
    (!token.is_empty()).then_some((token, rest))
}

fn skip_space(input: &[u8]) -> &[u8] {
    input.trim_ascii_start()
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    fn names(value: &str) -> Option<Vec<&str>> {
        let extensions = parse(value.as_bytes())?;
        extensions
            .iter()
            .map(|extension| core::str::from_utf8(extension.name).ok())
            .collect()
    }

    #[test]
    fn s9_1_names_parameters_and_values() {
        let value = br#"a, b; x ;y=1 ; z = "q\ux" , c"#;
        let param =
            |name: &'static [u8], value: Option<&'static [u8]>| (name, value.map(Cow::Borrowed));
        let b = vec![
            param(b"x", None),
            param(b"y", Some(b"1")),
            param(b"z", Some(b"qux")),
        ];
        assert_eq!(
            parse(value),
            Some(vec![
                Extension {
                    name: b"a",
                    params: vec![]
                },
                Extension {
                    name: b"b",
                    params: b
                },
                Extension {
                    name: b"c",
                    params: vec![]
                },
            ])
        );
    }

    #[test]
    fn s9_1_lists_have_at_least_one_element() {
        assert_eq!(names("a"), Some(vec!["a"]));
        assert_eq!(names(" ,a,, b ,"), Some(vec!["a", "b"]));
        for malformed in [
            "", ",", " , ", "a b", "a;", ";a", "a=1", "a;=1", "a;b=", "a;b=\"", "a;b=\"c",
            "a;b=\"\\", "a;b=\"\"",
        ] {
            assert_eq!(names(malformed), None, "{malformed}");
        }
    }
}
