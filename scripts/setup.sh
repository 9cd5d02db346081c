#!/bin/sh
# Makes a checkout ready to run, on a machine that has Node and npm. With --test, also installs what the tests need
# (redis-server and chromium, and what checks the deployment samples: nginx, haproxy, systemd; from Debian's packages) where
# it is missing.
set -eu
cd "$(dirname "$0")/.."

fail() {
  echo "setup: $1" >&2
  exit 1
}

test_packages=no
for argument in "$@"; do
  case "$argument" in
    --test) test_packages=yes ;;
    *) fail "unknown option $argument; usage: sh scripts/setup.sh [--test]" ;;
  esac
done

for tool in node npm; do
  command -v "$tool" >/dev/null || fail "$tool was not found; install Node 20 or later, with npm, and run this again"
done

version=$(node -p 'require("./package.json").devDependencies.bun')

is_bun() {
  [ "$("$1/node_modules/.bin/bun" --version 2>/dev/null)" = "$version" ]
}

# npm may hold back install scripts, and Bun's is the one that puts the platform's binary in place.
place_binary() {
  is_bun "$1" || (cd "$1/node_modules/bun" && node install.js)
  is_bun "$1" || fail "Bun $version does not run here; 'node $1/node_modules/bun/install.js' shows why"
}

if is_bun .; then
  node_modules/.bin/bun install --frozen-lockfile
else
  # The lock file is Bun's, so a first Bun comes by npm, in a folder of its own.
  first=$(mktemp -d)
  trap 'rm -rf "$first"' EXIT
  npm install --prefix "$first" --no-audit --no-fund --loglevel=error "bun@$version"
  place_binary "$first"
  "$first/node_modules/.bin/bun" install --frozen-lockfile
fi
place_binary .

[ "$test_packages" = yes ] || exit 0

# nginx and haproxy stand in /usr/sbin, which is not on everyone's PATH.
PATH="$PATH:/usr/sbin:/sbin"
missing=
need() {
  command -v "$1" >/dev/null || missing="$missing $2"
}
need redis-server redis-server
need chromium chromium
need nginx nginx-light
need haproxy haproxy
need systemd-analyze systemd
need openssl openssl
[ -n "$missing" ] || exit 0

command -v apt-get >/dev/null || fail "the tests need$missing on the PATH; this system has no apt-get to install them with"
as_root=
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || fail "the tests need$missing; run as root: apt-get update && apt-get install -y$missing"
  as_root=sudo
fi
echo "setup: installing$missing"
$as_root apt-get update -qq
# shellcheck disable=SC2086 # one word for each package
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $missing >/dev/null
