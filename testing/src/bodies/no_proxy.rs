//! Which proxy the environment names for a server: any variables and lists, and servers that the lists often have.
//!
//! A reading of `docs/proxies.md` that shares no code with ours agrees about each server. A list says what its entries say
//! one by one, capitals make no difference, and this machine is never reached by a proxy.

use std::net::{Ipv4Addr, Ipv6Addr};

use bowline_bind::{Connect, Host, internal};

use crate::bodies::{choices::Choices, tally::count, transport};

mod reading;

use reading::{is_this_machine, lists, without_dot};

/// Runs one input: the variables, servers, and the list.
pub fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    let variables = Variables::new(&mut choices);
    let count = 1 + choices.below(4);
    let servers: Vec<_> = (0..count).map(|_| Server::new(&mut choices)).collect();
    let list = List::new(&mut choices, &servers);
    for server in &servers {
        if let Some(host) = parsed(&server.host, server.port) {
            check(&variables, &list, server, &host);
        }
    }
}

/// A server, as a URL would have it.
struct Server {
    host: String,
    port: u16,
}

impl Server {
    fn new(choices: &mut Choices<'_>) -> Self {
        Self {
            host: host(choices),
            port: choices.of(&[80, 443, 81]),
        }
    }
}

/// The variables that name proxies, in the order in which they are asked.
const NAMES: [&str; 8] = [
    "socks_proxy",
    "SOCKS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "https_proxy",
    "HTTPS_PROXY",
    "http_proxy",
    "HTTP_PROXY",
];

/// The environment, without the list.
struct Variables {
    proxies: [Option<&'static str>; NAMES.len()],
    is_cgi: bool,
    /// Whether the list is in `NO_PROXY`, and there is no `no_proxy`.
    in_capitals: bool,
}

impl Variables {
    fn new(choices: &mut Choices<'_>) -> Self {
        let values = [
            "",
            " ",
            "proxy.test:3128",
            " http://proxy.test",
            "socks5h://[::1]",
        ];
        let mut proxies = [None; NAMES.len()];
        if choices.one_in(4) {
            for proxy in &mut proxies {
                *proxy = choices.flip().then(|| choices.of(&values));
            }
        } else {
            proxies[choices.below(NAMES.len())] = Some("http://proxy.test");
        }
        Self {
            proxies,
            is_cgi: choices.one_in(8),
            in_capitals: choices.flip(),
        }
    }

    /// Returns what our code chooses with this list.
    fn ask(&self, list: &str, host: &Host, port: u16) -> Option<String> {
        let is_blank = list.trim().is_empty();
        let get = |name: &str| match name {
            "REQUEST_METHOD" => self.is_cgi.then(|| "GET".to_owned()),
            "no_proxy" => (!self.in_capitals).then(|| list.to_owned()),
            "NO_PROXY" if self.in_capitals => Some(list.to_owned()),
            // The name in lower case comes first, unless it is blank.
            "NO_PROXY" => (!is_blank).then(|| "*".to_owned()),
            _ => {
                let place = NAMES.iter().position(|other| *other == name);
                self.proxies[place.expect("no other is asked")].map(str::to_owned)
            }
        };
        internal::proxy_of(get, host, port)
    }

    /// Returns the proxy for servers that are not in the list.
    fn proxy(&self) -> Option<String> {
        // HTTP_PROXY is the last of them.
        let are_read = NAMES.len() - usize::from(self.is_cgi);
        let values = self.proxies[..are_read].iter().flatten();
        let mut values = values.map(|value| value.trim());
        let value = values.find(|value| !value.is_empty())?;
        let scheme = if value.contains("://") { "" } else { "http://" };
        Some(format!("{scheme}{value}"))
    }
}

/// A list, and the entries that it has.
struct List {
    text: String,
    entries: Vec<String>,
}

impl List {
    fn new(choices: &mut Choices<'_>, servers: &[Server]) -> Self {
        let separators = [",", " ", ", ", ",,", "\t", " , "];
        let entries: Vec<_> = (0..choices.below(7))
            .map(|_| entry(choices, servers))
            .collect();
        let mut text = String::new();
        for entry in &entries {
            if !text.is_empty() || choices.one_in(8) {
                text += choices.of(&separators);
            }
            text += entry;
        }
        if choices.one_in(8) {
            text += choices.of(&separators);
        }
        Self { text, entries }
    }
}

/// Returns an entry, which is mostly one that means something, and often one of the servers or a domain above it.
fn entry(choices: &mut Choices<'_>, servers: &[Server]) -> String {
    let mut place = match choices.below(4) {
        0..=1 => servers[choices.below(servers.len())].host.clone(),
        2 => name(choices),
        _ => address(choices),
    };
    if let Some((_, above)) = place.split_once('.').filter(|_| choices.one_in(4)) {
        place = above.to_owned();
    }
    match choices.below(16) {
        0..=7 => {
            let before = choices.of(&["", "", "", ".", "*.", "*", ".."]);
            format!("{before}{place}{}", port(choices))
        }
        8..=11 => {
            let most = if place.contains(':') { 130 } else { 34 };
            let sign = if choices.one_in(16) { "+" } else { "" };
            let after = if choices.one_in(16) { ":80" } else { "" };
            format!("{place}/{sign}{}{after}", choices.below(most))
        }
        12 => "*".to_owned(),
        _ => characters(choices, "*.:[]/0123456789abcdefxy+-%é\n"),
    }
}

/// Returns what may be after a name or an address.
fn port(choices: &mut Choices<'_>) -> &'static str {
    match choices.below(4) {
        0 => choices.of(&[":", ":x", ":+80", ":65616", ":080", ":80:80", "."]),
        1 => choices.of(&[":80", ":81", ":443"]),
        _ => "",
    }
}

fn name(choices: &mut Choices<'_>) -> String {
    let labels = [
        "y",
        "com",
        "x",
        "xy",
        "Y",
        "test",
        "localhost",
        "münchen",
        "192",
    ];
    let count = 1 + choices.below(3);
    let labels: Vec<_> = (0..count).map(|_| choices.of(&labels)).collect();
    let end = if choices.one_in(8) { "." } else { "" };
    format!("{}{end}", labels.join("."))
}

/// Returns an address. One of IPv6 may be in brackets.
fn address(choices: &mut Choices<'_>) -> String {
    let is_v4 = choices.flip();
    if is_v4 {
        return ipv4(choices).to_string();
    }
    let address = ipv6(choices);
    match choices.below(4) {
        0 => format!("[{address}]"),
        // All eight groups.
        1 => address
            .segments()
            .map(|group| format!("{group:x}"))
            .join(":"),
        _ => address.to_string(),
    }
}

/// Returns the last octet of an address, which is often the same as that of another.
fn octet(choices: &mut Choices<'_>) -> u8 {
    match choices.below(4) {
        0 => choices.byte(),
        _ => choices.of(&[1, 2, 200]),
    }
}

fn ipv4(choices: &mut Choices<'_>) -> Ipv4Addr {
    let last = octet(choices);
    match choices.below(6) {
        0 => Ipv4Addr::new(127, 0, 0, last),
        1 => Ipv4Addr::new(198, 51, 100, last),
        2 => Ipv4Addr::new(0, 0, 0, last),
        3 => Ipv4Addr::new(last, choices.byte(), choices.byte(), choices.byte()),
        _ => Ipv4Addr::new(192, 0, 2, last),
    }
}

fn ipv6(choices: &mut Choices<'_>) -> Ipv6Addr {
    let last = octet(choices).into();
    match choices.below(6) {
        0 => ipv4(choices).to_ipv6_mapped(),
        1 => Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, last & 1),
        2 => Ipv6Addr::from_bits(u128::from(last) << choices.below(121)),
        _ => Ipv6Addr::new(0x2001, 0xDB8, 0, 0, 0, 0, 0, last),
    }
}

/// Returns the host of a URL, or what might be taken for one.
fn host(choices: &mut Choices<'_>) -> String {
    match choices.below(8) {
        0..=2 => name(choices),
        3..=4 => ipv4(choices).to_string(),
        5..=6 => format!("[{}]", ipv6(choices)),
        _ => characters(choices, "abxy019.-_[]:é"),
    }
}

fn characters(choices: &mut Choices<'_>, of: &str) -> String {
    let of: Vec<_> = of.chars().collect();
    (0..choices.below(12)).map(|_| choices.of(&of)).collect()
}

/// Returns the host of a URL, if the URL is valid and the name is one that DNS could have.
fn parsed(host: &str, port: u16) -> Option<Host> {
    let connect = Connect::new(format!("ws://{host}:{port}/"));
    let config = proto::Config::new(transport::entropy);
    let host = connect.config(config).prepare().ok()?.host;
    let is_of_label = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let is_label = |label: &str| !label.is_empty() && label.bytes().all(is_of_label);
    match &host {
        Host::Name(name) => without_dot(name).split('.').all(is_label).then_some(host),
        _ => Some(host),
    }
}

fn check(variables: &Variables, list: &List, server: &Server, host: &Host) {
    let (text, port) = (&server.host, server.port);
    let ask = |list: &str| variables.ask(list, host, port);
    let about = format!("{:?} and {text}:{port}", list.text);
    let proxy = ask(&list.text);
    let is_local = is_this_machine(host);
    let is_listed = list.entries.iter().any(|it| lists(it, host, port));
    let expected = variables.proxy().filter(|_| !is_local && !is_listed);
    assert_eq!(proxy, expected, "{about}");

    let by_proxy = |entry: &String| ask(entry).is_some();
    let by_proxy = ask("").is_some() && list.entries.iter().all(by_proxy);
    assert_eq!(proxy.is_some(), by_proxy, "one by one: {about}");

    let (upper, lower) = (
        list.text.to_ascii_uppercase(),
        list.text.to_ascii_lowercase(),
    );
    assert_eq!(ask(&upper), proxy, "in capitals: {about}");
    assert_eq!(ask(&lower), proxy, "without capitals: {about}");
    let same = parsed(&text.to_ascii_uppercase(), port);
    assert_eq!(same.as_ref(), Some(host), "its host in capitals: {about}");

    count(match (&proxy, is_local, is_listed) {
        (Some(_), ..) => "by a proxy",
        (None, true, _) => "this machine",
        (None, _, true) => "listed",
        (None, ..) => "no proxy at all",
    });
}
