//! The output of a bench, which is also kept in `results`: tables, with a description of the machine and
//! versions.

use std::{
    env,
    fmt::Write,
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

/// A page of tables and charts.
#[derive(Debug)]
pub struct Report {
    name: &'static str,
    text: String,
    charts: String,
    /// The lines of the charts.
    charted: usize,
}

impl Report {
    /// Starts the page of the bench `name`. It lists the compiler and the crates in `versions`.
    pub fn new(name: &'static str, about: &str, versions: &[&str]) -> Self {
        let mut used = first_line("rustc", &["--version"]);
        for name in versions {
            used += &format!(", {name} {}", version(name));
        }
        let date = first_line("date", &["-u", "+%F"]);
        let features = if cfg!(feature = "peers") {
            " --features peers"
        } else {
            ""
        };
        let text = format!(
            "# {about}\n\n`cargo bench -p bowline-benches{features} --bench {name}` on {date}, {}, on {}; {used}.\n",
            commit(),
            machine(),
        );
        Self {
            name,
            text,
            charts: String::new(),
            charted: 0,
        }
    }

    /// Adds a paragraph.
    pub fn paragraph(&mut self, text: &str) {
        self.text += &format!("\n{text}\n");
    }

    /// Adds a table. The first column is text, the others are numbers.
    pub fn table<H: AsRef<str>>(&mut self, head: impl AsRef<[H]>, rows: &[impl AsRef<[String]>]) {
        let head: Vec<&str> = head.as_ref().iter().map(AsRef::as_ref).collect();
        let _ = writeln!(self.text, "\n| {} |", head.join(" | "));
        let _ = writeln!(self.text, "| --- |{}", " ---: |".repeat(head.len() - 1));
        for row in rows {
            let _ = writeln!(self.text, "| {} |", row.as_ref().join(" | "));
        }
    }

    /// Adds a chart below the earlier ones, with bars that begin at 0. Labels are plain text.
    ///
    /// # Errors
    ///
    /// If the chart cannot be written.
    pub fn chart(&mut self, title: &str, bars: &[(String, f64)]) -> io::Result<()> {
        const ROW: usize = 22;
        let most = bars.iter().map(|(_, value)| *value).fold(0.0, f64::max);
        let digits = if most < 10.0 { 2 } else { 0 };
        let top = self.charted * ROW;
        let _ = writeln!(
            self.charts,
            "<text x=\"10\" y=\"{}\" font-weight=\"bold\">{title}</text>",
            top + ROW,
        );
        for (row, (label, value)) in bars.iter().enumerate() {
            let (top, line) = (top + (row + 1) * ROW + 10, top + (row + 2) * ROW + 2);
            let width = value / most * 360.0;
            let _ = writeln!(
                self.charts,
                "<text x=\"280\" y=\"{line}\" text-anchor=\"end\">{label}</text>\
                 <rect x=\"290\" y=\"{top}\" width=\"{width:.1}\" height=\"16\" fill=\"#3b6ea5\"/>\
                 <text x=\"{:.1}\" y=\"{line}\">{value:.digits$}</text>",
                width + 296.0,
            );
        }
        if self.charted == 0 {
            self.paragraph(&format!("![{title}]({}.svg)", self.name));
        }
        self.charted += bars.len() + 2;
        let svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"720\" height=\"{}\" \
             font-family=\"sans-serif\" font-size=\"13\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n{}</svg>\n",
            self.charted * ROW,
            self.charts,
        );
        fs::write(self.path("svg")?, svg)
    }

    /// Prints the page and writes it to its file.
    ///
    /// # Errors
    ///
    /// If the page cannot be written.
    pub fn finish(self) -> io::Result<()> {
        println!("\n{}", self.text);
        fs::write(self.path("md")?, self.text)
    }

    fn path(&self, extension: &str) -> io::Result<PathBuf> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("results");
        fs::create_dir_all(&folder)?;
        Ok(folder.join(self.name).with_extension(extension))
    }
}

/// Returns the median that criterion measured for `group/id`, in nanoseconds. Criterion keeps its
/// results in `dir`.
///
/// # Errors
///
/// If there is none.
pub fn median(dir: &Path, group: &str, id: &str) -> io::Result<f64> {
    let estimates = dir.join(group).join(id).join("new/estimates.json");
    let estimates: serde_json::Value = serde_json::from_str(&fs::read_to_string(estimates)?)?;
    let median = estimates["median"]["point_estimate"].as_f64();
    median.ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Returns the last committed page of the bench `name`; empty if there is none.
pub fn committed(name: &str) -> String {
    let page = format!("HEAD:./results/{name}.md");
    output("git", &["-C", env!("CARGO_MANIFEST_DIR"), "show", &page])
}

/// Returns the version of the crate `name` in `Cargo.lock`.
pub fn version(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let lock = fs::read_to_string(root.join("Cargo.lock")).unwrap_or_default();
    let version = locked(&lock, name).unwrap_or("of unknown version");
    version.to_owned()
}

/// Whether to measure everything: criterion takes a filter, and cargo also runs benches as tests.
pub fn is_whole() -> bool {
    env::args().skip(1).all(|arg| arg == "--bench")
}

fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map(|rest| rest.trim_start_matches(['\t', ':', ' ']));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let system = first_line("uname", &["-sr"]);
    // Other users of the machine make all numbers worse, even CPU time.
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    let model = model.unwrap_or(env::consts::ARCH);
    format!("{cores} cores of {model}, load {load}, {system}")
}

fn commit() -> String {
    let git =
        |args: &[&str]| first_line("git", &[&["-C", env!("CARGO_MANIFEST_DIR")], args].concat());
    let changed = git(&["status", "--porcelain", "--", "..", ":!*.md", ":!results"]);
    let beside = if changed.is_empty() {
        ""
    } else {
        " with changes that are not committed"
    };
    format!("commit {}{beside}", git(&["rev-parse", "--short", "HEAD"]))
}

fn first_line(program: &str, args: &[&str]) -> String {
    let output = output(program, args);
    output.lines().next().unwrap_or_default().to_owned()
}

/// Returns an empty text if the program cannot be run.
fn output(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    let output = output.map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&output).into_owned()
}

fn locked<'a>(lock: &'a str, name: &str) -> Option<&'a str> {
    let (_, package) = lock.split_once(&format!("name = \"{name}\"\nversion = \""))?;
    package.split('"').next()
}
