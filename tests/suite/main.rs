//! What every binding has to do, over real sockets: each test is written once and run for each
//! binding, plain and by TLS where that may make a difference.

mod binding;
mod certificates;
mod support;

/// The tests of a list, for one binding or two: each becomes `chapter::name::test`.
macro_rules! tests {
    ($name:ident $bindings:tt $($test:ident)*) => {
        mod $name {
            use crate::binding::*;

            $(test!($test $bindings);)*
        }
    };
}

macro_rules! test {
    ($test:ident [$($binding:ty),*]) => {
        #[test]
        fn $test() {
            crate::support::run(super::$test::<$($binding),*>);
        }
    };
}

/// The tests of a list, for each binding.
macro_rules! for_each_binding {
    ($($test:ident,)*) => {
        tests!(tokio [Tokio] $($test)*);
    };
}

/// The tests of a list, for each binding that has futures.
macro_rules! for_each_driven {
    ($($test:ident,)*) => {
        tests!(tokio [Tokio] $($test)*);
    };
}

/// The tests of a list, for each binding, plain and by TLS.
macro_rules! for_each_wire {
    ($($test:ident,)*) => {
        tests!(tokio [Plain<Tokio>] $($test)*);
        tests!(tokio_tls [Tls<Tokio>] $($test)*);
    };
}

/// The tests of a list, for each binding's client with each binding's server.
macro_rules! for_each_two {
    ($($test:ident,)*) => {
        tests!(tokio_to_tokio [Plain<Tokio>, Plain<Tokio>] $($test)*);
        tests!(tokio_to_tokio_tls [Tls<Tokio>, Tls<Tokio>] $($test)*);
    };
}

mod accept;
mod by_hand;
mod closing;
mod connect;
mod cross;
mod deadlines;
mod sinks;
mod tls;
mod traffic;
