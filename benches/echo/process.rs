//! A server in a process on a core of its own, and its use of resources.

use std::{
    env, fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio, exit},
    thread::{self, available_parallelism, sleep},
    time::Duration,
};

use rustix::{
    process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit},
    thread::{CpuSet, sched_setaffinity},
    time::{ClockId, clock_gettime},
};

/// The server ends when this is dropped.
pub(crate) struct Process {
    child: Child,
    /// Each byte sent asks for the CPU time, which is returned in nanoseconds.
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    pub(crate) addr: SocketAddr,
}

impl Process {
    /// Starts this program again as a server, run by the program `under`, or directly if `under` is
    /// empty.
    pub(crate) fn start(under: &[&str], args: &[&str]) -> io::Result<Self> {
        let this = env::current_exe()?;
        let mut command = match under {
            [] => Command::new(this),
            [program, options @ ..] => {
                let mut command = Command::new(program);
                command.args(options).arg(this).stderr(Stdio::null());
                command
            }
        };
        let program = command.get_program().display().to_string();
        command
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command
            .spawn()
            .map_err(|error| cannot_run(&program, &error))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            unreachable!("they are piped");
        };
        let mut output = BufReader::new(output);
        let mut line = String::new();
        output.read_line(&mut line)?;
        let unspecified = (Ipv4Addr::UNSPECIFIED, 0).into();
        let mut process = Self {
            child,
            input,
            output,
            addr: unspecified,
        };
        let addr = line.trim().parse();
        process.addr = addr.map_err(|_| io::Error::other("the server does not start"))?;
        Ok(process)
    }

    /// Returns the CPU time, including the system's, of all threads that it has had.
    pub(crate) fn cpu(&mut self) -> io::Result<Duration> {
        self.input.write_all(b"?")?;
        let mut nanos = [0; 8];
        self.output.read_exact(&mut nanos)?;
        Ok(Duration::from_nanos(u64::from_le_bytes(nanos)))
    }

    /// Returns the resident bytes.
    pub(crate) fn resident(&self) -> io::Result<u64> {
        sleep(Duration::from_millis(50));
        let pages = fs::read_to_string(format!("/proc/{}/statm", self.child.id()))?;
        let pages = pages.split(' ').nth(1).and_then(|pages| pages.parse().ok());
        let pages: u64 = pages.ok_or(io::ErrorKind::InvalidData)?;
        Ok(pages * rustix::param::page_size() as u64)
    }

    /// Returns how often its threads have yielded to another and how often they were preempted.
    pub(crate) fn switches(&self) -> io::Result<u64> {
        let mut switches = 0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let status = fs::read_to_string(thread?.path().join("status"))?;
            let counts = status
                .lines()
                .filter_map(|line| line.split_once("ctxt_switches:"));
            switches += counts
                .filter_map(|(_, count)| count.trim().parse::<u64>().ok())
                .sum::<u64>();
        }
        Ok(switches)
    }

    /// Counts the system calls during `work`, with `perf`.
    pub(crate) fn system_calls(&self, work: impl FnOnce() -> io::Result<()>) -> io::Result<u64> {
        let pid = self.child.id().to_string();
        let mut perf = Command::new("perf")
            .args(["stat", "-x,", "-e", "raw_syscalls:sys_enter", "-p", &pid])
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| cannot_run("perf", &error))?;
        // perf does not report when it has begun.
        sleep(Duration::from_millis(300));
        let done = work();
        kill_process(Pid::from_child(&perf), Signal::INT)?;
        let mut counted = String::new();
        if let Some(output) = &mut perf.stderr {
            output.read_to_string(&mut counted)?;
        }
        perf.wait()?;
        done?;
        let line = counted.lines().find(|line| line.contains("sys_enter"));
        let count = line.and_then(|line| line.split(',').next()?.parse().ok());
        count.ok_or_else(|| io::Error::other(format!("perf counts nothing: {counted}")))
    }

    /// Ends the process properly, because a program that runs it writes its results at the end.
    pub(crate) fn end(mut self) -> io::Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        self.child.wait().map(drop)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // This fails only if the process has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn cannot_run(program: &str, error: &io::Error) -> io::Error {
    io::Error::other(format!("{program} cannot be run: {error}"))
}

/// Runs in the server's process: uses the last core, reports the address and, when asked, the CPU time,
/// and ends with its parent.
pub(crate) fn listen() -> io::Result<TcpListener> {
    pin(usize::MAX)?;
    many_files()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    println!("{}", listener.local_addr()?);
    thread::spawn(|| {
        let _ = tell();
        exit(0);
    });
    Ok(listener)
}

/// Answers until the other end closes.
fn tell() -> io::Result<()> {
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    loop {
        input.read_exact(&mut [0])?;
        let used = clock_gettime(ClockId::ProcessCPUTime);
        let used = Duration::new(used.tv_sec as u64, used.tv_nsec as u32);
        output.write_all(&(used.as_nanos() as u64).to_le_bytes())?;
        output.flush()?;
    }
}

/// Pins this thread, and the threads that it starts, to the given core, or to the last one.
pub(crate) fn pin(core: usize) -> io::Result<()> {
    let mut all = CpuSet::new();
    (0..CpuSet::MAX_CPU).for_each(|core| all.set(core));
    // The parent may be pinned, and a process inherits that.
    sched_setaffinity(None, &all)?;
    let cores = available_parallelism()?.get();
    let mut one = CpuSet::new();
    one.set(core.min(cores - 1));
    Ok(sched_setaffinity(None, &one)?)
}

/// Raises the limit of descriptors as far as the system allows, and returns it.
pub(crate) fn many_files() -> io::Result<usize> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let current = maximum;
    setrlimit(Resource::Nofile, Rlimit { current, maximum })?;
    Ok(current.map_or(usize::MAX, |files| files as usize))
}
