#!/usr/bin/env bash
# Checks for known vulnerabilities that our code reaches, against the database as the module proxy serves it.
set -euo pipefail
cd "$(dirname "$0")/.."
version=v0.0.0-20261105234957-e22db6528018
db="$PWD/.cache/vulndb-$version"
if [ ! -e "$db/index/db.json" ]; then
  dir=$(cd tools && go mod download -json "golang.org/x/vulndb@$version" | sed -n 's/^\t"Dir": "\(.*\)",\?$/\1/p')
  (cd tools && go run ./vulndb "$dir" "$version" "$db")
fi
found=$(mktemp)
trap 'rm -f "$found"' EXIT
go tool -modfile=tools/go.mod govulncheck -json -db "file://$db" ./... > "$found"
(cd tools && go run ./vulnjudge) < "$found"
