//! The behaviour that all bindings have in common, over real sockets. Each test is written once and runs
//! for each binding, with and without TLS where that may make a difference.

mod binding;
mod support;

/// Makes the tests of a list for one binding, or for two: each becomes `chapter::name::test`.
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

/// Makes the tests of a list for each binding.
macro_rules! for_each_binding {
    ($($test:ident,)*) => {
        tests!(tokio [Tokio] $($test)*);
        tests!(smol [Smol] $($test)*);
        tests!(blocking [Blocking] $($test)*);
    };
}

/// Makes the tests of a list for each binding and for the streams of async-std.
macro_rules! for_each_stream {
    ($($test:ident,)*) => {
        for_each_binding!($($test,)*);
        tests!(async_std [async_std::AsyncStd] $($test)*);
    };
}

/// Makes the tests of a list for each binding with futures and for the streams of async-std.
macro_rules! for_each_driven {
    ($($test:ident,)*) => {
        tests!(tokio [Tokio] $($test)*);
        tests!(smol [Smol] $($test)*);
        tests!(async_std [async_std::AsyncStd] $($test)*);
    };
}

/// Makes the tests of a list for each binding and for the streams of async-std, with and without TLS.
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

/// Makes the tests of a list for each binding's client with each binding's server.
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
