//! Decides which visitors to admit.

use bowline_tokio::{ClientRequest, Response};

/// The name of a visitor.
pub(crate) struct Name(pub(crate) String);

/// Admits a visitor, whose [`Name`] is kept in the request, or returns the response to refuse with.
pub(crate) fn admit(mut request: ClientRequest) -> Result<ClientRequest, Response> {
    let name = name(&request).ok_or_else(|| Response::new(400, "a name, please\n"))?;
    request.insert(name);
    Ok(request)
}

/// Returns the name in the request: 1 to 32 characters, without control characters.
fn name(request: &ClientRequest) -> Option<Name> {
    let query = request.query()?;
    let (_, name) = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "name")?;
    let name = name.trim();
    let fits = (1..=32).contains(&name.chars().count()) && !name.contains(char::is_control);
    fits.then(|| Name(name.to_owned()))
}
