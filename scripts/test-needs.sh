#!/usr/bin/env bash
# Installs what the tests need beyond Go, from Debian 12: gcc for the race detector, PostgreSQL (a server, not a running one), and
# outside verifiers for DKIM and TLS and of the envelope, and strace to see what is synced before what is said. It needs root only when
# something is missing.
set -euo pipefail
needs=(gcc libc6-dev postgresql-15 opendkim-tools openssl python3-cryptography strace)
missing=()
for p in "${needs[@]}"; do
  dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing+=("$p")
done
[ ${#missing[@]} -eq 0 ] && exit 0
echo "installing: ${missing[*]}"
if [ "$(id -u)" -ne 0 ]; then
  echo "run as root, or install them yourself: apt-get install ${missing[*]}" >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
# Debian's package would start a cluster of its own; the tests make theirs.
mkdir -p /etc/postgresql-common
[ -e /etc/postgresql-common/createcluster.conf ] || echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.conf
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
