//! What every binding has to do, over real sockets: each test is written once and run for each
//! binding, plain and by TLS where that may make a difference.

mod binding;
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
        tests!(smol [Smol] $($test)*);
        tests!(blocking [Blocking] $($test)*);
    };
}

/// The tests of a list, for each binding, and the streams of async-std.
macro_rules! for_each_stream {
    ($($test:ident,)*) => {
        for_each_binding!($($test,)*);
        tests!(async_std [async_std::AsyncStd] $($test)*);
    };
}

/// The tests of a list, for each binding that has futures, and the streams of async-std.
macro_rules! for_each_driven {
    ($($test:ident,)*) => {
        tests!(tokio [Tokio] $($test)*);
        tests!(smol [Smol] $($test)*);
        tests!(async_std [async_std::AsyncStd] $($test)*);
    };
}

/// The tests of a list, for each binding, and the streams of async-std, plain and by TLS.
macro_rules! for_each_wire {
    ($($test:ident,)*) => {
        tests!(tokio [Plain<Tokio>] $($test)*);
        tests!(tokio_tls [Tls<Tokio>] $($test)*);
        tests!(smol [Plain<Smol>] $($test)*);
        tests!(smol_tls [Tls<Smol>] $($test)*);
        tests!(async_std [Plain<async_std::AsyncStd>] $($test)*);
        tests!(async_std_tls [Tls<async_std::AsyncStd>] $($test)*);
        tests!(blocking [Plain<Blocking>] $($test)*);
        tests!(blocking_tls [Tls<Blocking>] $($test)*);
    };
}

/// The tests of a list, for each binding's client with each binding's server.
macro_rules! for_each_two {
    ($($test:ident,)*) => {
        tests!(tokio_to_tokio [Plain<Tokio>, Plain<Tokio>] $($test)*);
        tests!(tokio_to_tokio_tls [Tls<Tokio>, Tls<Tokio>] $($test)*);
        tests!(tokio_to_smol [Plain<Tokio>, Plain<Smol>] $($test)*);
        tests!(tokio_to_smol_tls [Tls<Tokio>, Tls<Smol>] $($test)*);
        tests!(tokio_to_blocking [Plain<Tokio>, Plain<Blocking>] $($test)*);
        tests!(tokio_to_blocking_tls [Tls<Tokio>, Tls<Blocking>] $($test)*);
        tests!(smol_to_tokio [Plain<Smol>, Plain<Tokio>] $($test)*);
        tests!(smol_to_tokio_tls [Tls<Smol>, Tls<Tokio>] $($test)*);
        tests!(smol_to_smol [Plain<Smol>, Plain<Smol>] $($test)*);
        tests!(smol_to_smol_tls [Tls<Smol>, Tls<Smol>] $($test)*);
        tests!(smol_to_blocking [Plain<Smol>, Plain<Blocking>] $($test)*);
        tests!(smol_to_blocking_tls [Tls<Smol>, Tls<Blocking>] $($test)*);
        tests!(blocking_to_tokio [Plain<Blocking>, Plain<Tokio>] $($test)*);
        tests!(blocking_to_tokio_tls [Tls<Blocking>, Tls<Tokio>] $($test)*);
        tests!(blocking_to_smol [Plain<Blocking>, Plain<Smol>] $($test)*);
        tests!(blocking_to_smol_tls [Tls<Blocking>, Tls<Smol>] $($test)*);
        tests!(blocking_to_blocking [Plain<Blocking>, Plain<Blocking>] $($test)*);
        tests!(blocking_to_blocking_tls [Tls<Blocking>, Tls<Blocking>] $($test)*);
    };
}

mod accept;
mod by_hand;
mod closing;
mod compression;
mod connect;
mod cross;
mod deadlines;
mod networks;
mod sinks;
mod tls;
mod traffic;
