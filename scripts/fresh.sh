#!/usr/bin/env bash
# Runs the README's two commands in a fresh clone under an empty HOME and an empty module cache.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'chmod -R u+w "$work" 2>/dev/null; rm -rf "$work"' EXIT
git clone -q "$top" "$work/carepost"
mkdir "$work/home"
cd "$work/carepost"
for cmd in "make demo" "make test"; do
  start=$(date +%s)
  env -i PATH="$PATH" HOME="$work/home" GOMODCACHE="$work/home/mod" GOCACHE="$work/home/cache" GOPROXY="$(go env GOPROXY)" GOSUMDB="$(go env GOSUMDB)" TERM=dumb $cmd
  echo "$cmd: $(($(date +%s) - start)) s in a fresh clone"
done
