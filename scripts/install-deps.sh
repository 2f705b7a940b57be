#!/usr/bin/env bash
# Makes this machine able to run the quickstart, the tests and the benchmarks: Debian packages by apt (as root or with sudo), and the
# npm packages of the lock file. Says nothing when nothing is missing. Servers are installed, never started: the lab starts its own.
#   --without hdfs   no Java, no Maven
#   --for-tests      also what builds the foreign clients (Go, Python) that the tests use, zsh for its completion, the receivers of
#                    alarms (SMTP, SNMP), and ip, tc and sysctl, of which the tests of the network (root only) make theirs
#   --for-bench      also ssh, which the benchmark of the whole compares with
set -euo pipefail
cd "$(dirname "$0")/.."

usage() { echo 'usage: install-deps.sh [--without hdfs] [--for-tests] [--for-bench]'; }
packages=(postgresql postgresql-client slapd ldap-utils zstd attr tar openssl curl)
hdfs=yes
while [ $# -gt 0 ]; do
  case $1 in
    --without) shift; [ "${1-}" = hdfs ] || { usage >&2; exit 2; }; hdfs=no ;;
    --for-tests) packages+=(python3 python3-venv zsh python3-aiosmtpd snmp snmptrapd iproute2 procps) for_tests=yes ;;
    --for-bench) packages+=(openssh-server openssh-client) ;;
    -h | --help) usage; sed -n '2,/^set /s/^# \{0,1\}//p' scripts/install-deps.sh; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
  shift
done
missing=()

main() {
  find_missing
  if [ ${#missing[@]} -gt 0 ]; then install_packages; else allow_starting; fi
  install_npm
}

find_missing() {
  local package
  for package in "${packages[@]}"; do
    dpkg-query -W -f='${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
  done
  # A machine may have these from elsewhere than Debian: ask for the command, not the package.
  if [ $hdfs = yes ]; then
    command -v java >/dev/null || missing+=(openjdk-17-jre-headless)
    command -v mvn >/dev/null || missing+=(maven)
  fi
  if [ "${for_tests-no}" = yes ]; then command -v go >/dev/null || missing+=(golang-go); fi
}

install_packages() {
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    if ! sudo -n true 2>/dev/null && ! { [ -t 0 ] && sudo -v; }; then
      echo "error: these packages are missing: ${missing[*]}" >&2
      echo "next: apt-get install --no-install-recommends ${missing[*]}   (as root)" >&2
      exit 69
    fi
    as_root=(sudo)
  fi
  echo "installing: ${missing[*]}"
  forbid_starting
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
}

# Debian starts servers as it installs them, on the ports that a production server of this machine may want.
policy=${POLICY_RC_D-/usr/sbin/policy-rc.d} # a test has another
ours='# Made by install-deps.sh of Holdfast while it installs; removed by it afterwards, or the next time.'

# A file of somebody else stays, and says what is started. Ours is a leftover of an installation that was killed.
forbid_starting() {
  [ ! -e "$policy" ] || is_ours || return 0
  printf '#!/bin/sh\n%s\nexit 101\n' "$ours" | "${as_root[@]}" tee "$policy" >/dev/null
  "${as_root[@]}" chmod 755 "$policy"
  # shellcheck disable=SC2064 # as_root is to be expanded now
  trap "${as_root[*]} rm -f '$policy'" EXIT
}

allow_starting() {
  if is_ours && [ -w "$(dirname "$policy")" ]; then rm -f "$policy"; fi
}

is_ours() {
  grep -qsxF "$ours" "$policy"
}

install_npm() {
  # npm writes this file last: older than the lock file means an install that is out of date or was cut off.
  if [ ! node_modules/.package-lock.json -nt package-lock.json ]; then
    echo 'installing the packages of package-lock.json'
    npm ci --no-audit --no-fund --loglevel=error
    touch node_modules/.package-lock.json
  fi
}

main
