//! The rows to measure, and our goals.

use crate::frames::{Load, Takeover};

pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) measure: Measure,
    /// Our servers by name, with the goal of each.
    pub(crate) goals: &'static [(&'static str, f64)],
}

#[derive(Clone, Copy)]
pub(crate) enum Measure {
    /// Microseconds of the server's CPU time for each message, and bytes sent for it.
    Cpu(Load),
    /// Microseconds of the server's CPU time for a connection that is accepted, upgraded and then ended
    /// by its peer.
    Upgrade,
    /// Resident bytes of a connection that has answered a message and waits.
    Idle(Option<Takeover>),
    /// The server's system calls for each message.
    SystemCalls(Load),
    /// How often a thread of the server yields to another, for each thousand messages.
    Switches(Load),
    /// The server's instructions for each message, without those of the system.
    Instructions(Load),
}

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "50x16 B, depth 1",
        measure: Measure::Cpu(text(50, 16, 1)),
        goals: &[("bowline-tokio", 5.3), ("bowline-smol", 7.2)],
    },
    Row {
        name: "50x16 B, depth 64",
        measure: Measure::Cpu(text(50, 16, 64)),
        goals: &[
            ("bowline-tokio", 0.11),
            ("bowline-smol", 0.16),
            ("bowline-blocking", 0.2),
        ],
    },
    Row {
        name: "100x1 KiB, depth 1",
        measure: Measure::Cpu(text(100, 1 << 10, 1)),
        goals: &[("bowline-tokio", 5.5)],
    },
    Row {
        name: "100x1 KiB, depth 16",
        measure: Measure::Cpu(text(100, 1 << 10, 16)),
        goals: &[("bowline-tokio", 0.5)],
    },
    Row {
        name: "10x16 KiB, depth 4",
        measure: Measure::Cpu(text(10, 16 << 10, 4)),
        goals: &[("bowline-tokio", 4.8)],
    },
    Row {
        name: "2x1 MiB text",
        measure: Measure::Cpu(text(2, 1 << 20, 1)),
        goals: &[("bowline-tokio", 270.0)],
    },
    Row {
        name: "2x1 MiB binary",
        measure: Measure::Cpu(Load {
            text: false,
            ..text(2, 1 << 20, 1)
        }),
        goals: &[("bowline-tokio", 265.0)],
    },
    Row {
        name: "500x20 B, depth 1",
        measure: Measure::Cpu(text(500, 20, 1)),
        goals: &[("bowline-tokio", 5.4)],
    },
    Row {
        name: "200x512 B deflate, takeover",
        measure: Measure::Cpu(deflated(true)),
        goals: &[("bowline-tokio", 18.0)],
    },
    Row {
        name: "200x512 B deflate, no takeover",
        measure: Measure::Cpu(deflated(false)),
        goals: &[("bowline-tokio", 11.0)],
    },
    Row {
        name: "connection and upgrade",
        measure: Measure::Upgrade,
        goals: &[("bowline-tokio", 39.0)],
    },
    Row {
        name: "idle, plain",
        measure: Measure::Idle(None),
        goals: &[("bowline-tokio", 1200.0)],
    },
    Row {
        name: "idle, deflate, takeover",
        measure: Measure::Idle(Some(true)),
        goals: &[],
    },
    Row {
        name: "idle, deflate, no takeover",
        measure: Measure::Idle(Some(false)),
        goals: &[("bowline-tokio", 1500.0)],
    },
    Row {
        name: "system calls, depth 1",
        measure: Measure::SystemCalls(text(50, 16, 1)),
        goals: &[("bowline-tokio", 2.06)],
    },
    Row {
        name: "system calls, depth 64",
        measure: Measure::SystemCalls(text(50, 16, 64)),
        goals: &[("bowline-tokio", 0.04)],
    },
    Row {
        name: "switches, 200x512 B deflate, takeover",
        measure: Measure::Switches(deflated(true)),
        goals: &[],
    },
    Row {
        name: "switches, 200x512 B deflate, no takeover",
        measure: Measure::Switches(deflated(false)),
        goals: &[],
    },
    Row {
        name: "instructions, 1x16 B, depth 1",
        measure: Measure::Instructions(text(1, 16, 1)),
        goals: &[("bowline-tokio", 2400.0)],
    },
    Row {
        name: "instructions, 4x16 B, depth 64",
        measure: Measure::Instructions(text(4, 16, 64)),
        goals: &[("bowline-tokio", 310.0)],
    },
];

const fn text(connections: usize, size: usize, depth: usize) -> Load {
    Load {
        connections,
        size,
        depth,
        text: true,
        compression: None,
    }
}

const fn deflated(takeover: Takeover) -> Load {
    Load {
        compression: Some(takeover),
        ..text(200, 512, 1)
    }
}

impl Measure {
    pub(crate) fn compression(self) -> Option<Takeover> {
        match self {
            Self::Cpu(load)
            | Self::SystemCalls(load)
            | Self::Switches(load)
            | Self::Instructions(load) => load.compression,
            Self::Idle(compression) => compression,
            Self::Upgrade => None,
        }
    }

    /// CPU time varies from round to round; the other results hardly do.
    pub(crate) fn rounds(self) -> usize {
        match self {
            Self::Cpu(load) if load.compression.is_none() => 5,
            Self::Cpu(_) | Self::Upgrade | Self::Switches(_) => 3,
            Self::Idle(_) | Self::SystemCalls(_) | Self::Instructions(_) => 1,
        }
    }
}
