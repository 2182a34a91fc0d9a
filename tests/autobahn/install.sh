#!/bin/sh
# Makes a Python 3 environment in which the Autobahn WebSocket TestSuite runs.
set -eu
usage() {
    cat <<'U'
usage: install.sh [--print-python]

Installs into $WSTEST_HOME (default ${XDG_CACHE_HOME:-$HOME/.cache}/bowline/wstest). Run again at any
time: it does nothing when that is up to date. --print-python prints the path of the environment's
interpreter and nothing else on standard output.

Environment: PYTHON  a CPython 3.9 to 3.12 with the modules venv and lib2to3
             (default: the first of python3.11 python3 /usr/bin/python3 that has them)
U
}
fail() { echo "install.sh: $*" >&2; exit 1; }
case "${1-}" in ''|--print-python) ;; -h|--help) usage; exit 0;; *) usage >&2; exit 2;; esac
HERE=$(cd "$(dirname "$0")" && pwd)
DIR=${WSTEST_HOME:-${XDG_CACHE_HOME:-${HOME:?HOME is not set}/.cache}/bowline/wstest}

SUITE=25.10.1       # autobahntestsuite
AUTOBAHN=0.10.9     # the release of autobahn that the suite is made for
DEPS="twisted[tls]==25.5.0 txaio==23.6.1 six==1.17.0 wsaccel==0.6.7"

done_with() {
    if [ "${1-}" = --print-python ]; then echo "$DIR/venv/bin/python"; fi
    exit 0
}
starts() { "$DIR/venv/bin/python" -c 'import autobahntestsuite.fuzzing' >/dev/null 2>&1; }

# What is installed is described by the inputs of the installation.
STAMP=$(cat "$HERE/install.sh" "$HERE/port_to_py3.py" | sha256sum | cut -c1-64)
current() { [ -f "$DIR/stamp" ] && [ "$(cat "$DIR/stamp")" = "$STAMP" ] && starts; }
if current; then done_with "$@"; fi

usable() { "$1" -c 'import sys, venv, ensurepip, lib2to3; sys.exit(not (3, 9) <= sys.version_info[:2] <= (3, 12))' >/dev/null 2>&1; }
PY=
for p in ${PYTHON:-python3.11 python3 /usr/bin/python3}; do
    if command -v "$p" >/dev/null 2>&1 && usable "$p"; then PY=$p; break; fi
done
[ -n "$PY" ] || fail "no CPython 3.9 to 3.12 with venv and lib2to3 (Debian: apt install python3-venv python3-lib2to3); set PYTHON"

if [ -e "$DIR" ] && [ ! -f "$DIR/.wstest" ]; then
    [ -d "$DIR" ] && [ -z "$(ls -A "$DIR")" ] || fail "$DIR exists and was not made by install.sh; set WSTEST_HOME"
fi
mkdir -p "$DIR" && : > "$DIR/.wstest" || fail "cannot write $DIR"
DIR=$(cd "$DIR" && pwd)
exec 9>"$DIR/lock"
flock -w 600 9 || fail "another installation holds $DIR/lock"
if current; then done_with "$@"; fi
echo "installing the Autobahn suite into $DIR" >&2
rm -rf "$DIR/stamp" "$DIR/venv"

WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
trap 'exit 1' INT TERM

"$PY" -m venv "$DIR/venv" || fail "cannot make the environment"
PIP="$DIR/venv/bin/python -m pip --disable-pip-version-check"
# shellcheck disable=SC2086
$PIP install -q --only-binary :all: $DEPS >&2 || fail "cannot install $DEPS"

# pip asks a source package for its metadata with setuptools; an old one suits these.
cat > "$WORK/source.txt" <<S
autobahntestsuite==$SUITE --hash=sha256:b083d6e15330fc16f3e5f0975cce2b15f21bfa0c6db09547316b1852c6dbd6df
autobahn==$AUTOBAHN --hash=sha256:3fecc1e2a26a0421128ddcfb4e577f0bc669dd65d0e0fdad1c773965cbcef75a
S
echo 'setuptools==75.8.0' > "$WORK/build.txt"
PIP_CONSTRAINT="$WORK/build.txt" $PIP download -q --no-deps --no-binary :all: \
    --require-hashes -r "$WORK/source.txt" -d "$WORK" >&2 || fail "cannot download the sources"
for f in "$WORK"/*.tar.gz; do tar -xzf "$f" -C "$WORK"; done

SITE=$("$DIR/venv/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
"$PY" -W ignore "$HERE/port_to_py3.py" "$WORK/autobahntestsuite-$SUITE" "$WORK/autobahn-$AUTOBAHN" "$SITE" \
    || fail "conversion failed"
starts || fail "the converted suite does not start"
echo "$STAMP" > "$DIR/stamp"
done_with "$@"
