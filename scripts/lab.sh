#!/usr/bin/env bash
# The real services that Holdfast backs up, for the quickstart, the tests and the benchmarks: on 127.0.0.1, on private ports, with all state
# under one directory. Every verb may be repeated.
set -euo pipefail
repository=$(cd "$(dirname "$0")/.." && pwd)

HOLDFAST_LAB=$(realpath -m "${HOLDFAST_LAB:-$repository/.lab}")
HOLDFAST_LAB_PORT_OFFSET=${HOLDFAST_LAB_PORT_OFFSET:-0}
export HOLDFAST_LAB HOLDFAST_LAB_PORT_OFFSET
KNOWN=(postgres ldap hdfs)

usage() {
  cat <<'USAGE'
usage: scripts/lab.sh VERB [postgres] [ldap] [hdfs]      without a component: all of them

  up              starts them, side by side
  down            stops them; leaves nothing running
  status          one line each
  seed [--large]  fills them with data to back up (--large: for the benchmark of the whole)
  snapshot DIR    writes what is to be the same after a restore, as text
  destroy         destroys their data, as a disaster would
  env             exports for a shell: where everything is

HOLDFAST_LAB: all state (default .lab). HOLDFAST_LAB_PORT_OFFSET: shifts every port.
HOLDFAST_CACHE: where Hadoop's jars are kept (default ~/.cache/holdfast).
USAGE
}

for part in common postgres ldap hdfs; do
  # shellcheck source=/dev/null
  . "$repository/scripts/lab/$part.sh"
done

main() {
  local verb=${1-} directory='' large=no components=()
  [ $# -gt 0 ] || { usage >&2; exit 2; }
  shift
  if [ "$verb" = snapshot ]; then
    [ $# -gt 0 ] || { usage >&2; exit 2; }
    directory=$(realpath -m "$1")
    shift
  fi
  while [ $# -gt 0 ]; do
    case $1 in
      --large) large=yes ;;
      *)
        [[ " ${KNOWN[*]} " == *" $1 "* ]] || { echo "error: the lab does not know $1; it knows: ${KNOWN[*]}" >&2; exit 2; }
        components+=("$1")
        ;;
    esac
    shift
  done
  [ ${#components[@]} -gt 0 ] || components=("${KNOWN[@]}")

  case $verb in
    up)
      mkdir -p "$HOLDFAST_LAB"/{bin,run,log}
      install -d -m 700 "$HOLDFAST_LAB/secrets"
      side_by_side up '' "${components[@]}"
      ;;
    down) side_by_side down '' "${components[@]}" ;;
    status) for component in "${components[@]}"; do "${component}_status"; done ;;
    seed) side_by_side seed "$large" "${components[@]}" ;;
    snapshot)
      mkdir -p "$directory"
      side_by_side snapshot "$directory" "${components[@]}"
      ;;
    destroy) side_by_side destroy '' "${components[@]}" ;;
    env) print_env ;;
    *) usage >&2; exit 2 ;;
  esac
}

print_env() {
  cat <<ENV
export HOLDFAST_LAB='$HOLDFAST_LAB'
export HOLDFAST_LAB_PORT_OFFSET='$HOLDFAST_LAB_PORT_OFFSET'
export PGHOST=127.0.0.1 PGPORT=$PG_PORT PGUSER=postgres
export LDAP_URL=$LDAP_URL
export NAMENODE_HTTP=127.0.0.1:${NN_HTTP_PORT-} NAMENODE_RPC=127.0.0.1:${NN_RPC_PORT-}
ENV
}

# A command by its own name is what the agent is configured with: see make_command in lab/common.sh.
case ${1-} in
  ldap_start | ldap_stop | namenode_start | namenode_stop) "$1" ;;
  hdfs_tool) shift && hdfs_tool "$@" ;;
  *) main "$@" ;;
esac
