# PostgreSQL with the database of the cluster manager (oms) and that of a component (hivemeta). Sourced by lab.sh.

PG_PORT=$(port 25432)
PG_DIR=$HOLDFAST_LAB/postgres
# Asked before anything is installed, too.
PG_BIN=$({ find /usr/lib/postgresql -maxdepth 2 -name bin 2>/dev/null || true; } | sort -V | tail -n 1)
OMS_CONF=$HOLDFAST_LAB/oms/conf

# PostgreSQL refuses to run as root.
as_postgres() {
  if [ "$(id -u)" -eq 0 ]; then (cd / && runuser -u postgres -- "$@"); else "$@"; fi
}

sql() { # sql DATABASE [psql arguments]
  local database=$1
  shift
  PGPASSWORD=$(cat "$HOLDFAST_LAB/secrets/postgres") psql -X -q -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "$PG_PORT" -U postgres -d "$database" "$@"
}

dump() { # dump pg_dump|pg_dumpall arguments; newer versions write random \restrict lines
  local tool=$1
  shift
  PGPASSWORD=$(cat "$HOLDFAST_LAB/secrets/postgres") "$PG_BIN/$tool" -h 127.0.0.1 -p "$PG_PORT" -U postgres "$@" | sed -E '/^\\(un)?restrict /d'
}

postgres_up() {
  local log=$HOLDFAST_LAB/log/postgres.log
  require_way
  make_secret postgres
  if [ ! -e "$PG_DIR/data/PG_VERSION" ]; then postgres_init >>"$log" 2>&1; fi
  runs postgres && listens "$PG_PORT" && return 0
  as_postgres "$PG_BIN/pg_ctl" -D "$PG_DIR/data" -l "$PG_DIR/server.log" -w -t 60 start >>"$log" 2>&1 || {
    tail -n 20 "$PG_DIR/server.log" >>"$log"
    return 1
  }
  head -n 1 "$PG_DIR/data/postmaster.pid" >"$HOLDFAST_LAB/run/postgres.pid"
}

# Every directory on the way must let the user postgres through; those above the lab are not ours to open.
require_way() {
  [ "$(id -u)" -eq 0 ] || return 0
  chmod a+x "$HOLDFAST_LAB"
  as_postgres test -x "$HOLDFAST_LAB" && return 0
  {
    echo "the user postgres, who runs the server, may not enter $HOLDFAST_LAB"
    echo 'next: take a place that others may enter: HOLDFAST_LAB=/var/tmp/holdfast-lab'
  } >>"$HOLDFAST_LAB/log/postgres.log"
  return 1
}

# Beside its place, which it gets when it is whole: one that was interrupted is begun again.
postgres_init() {
  local owner=() new=$PG_DIR/data.new
  rm -rf "$new"
  [ "$(id -u)" -ne 0 ] || owner=(-o postgres -g postgres)
  install -d "${owner[@]}" -m 700 "$PG_DIR" "$new" "$PG_DIR/run"
  # In a directory that only the server's user may enter.
  install "${owner[@]}" -m 600 "$HOLDFAST_LAB/secrets/postgres" "$PG_DIR/password"
  as_postgres "$PG_BIN/initdb" -U postgres -D "$new" -A scram-sha-256 --pwfile="$PG_DIR/password" -E UTF8 --locale=C.UTF-8 --no-sync
  rm -f "$PG_DIR/password"
  # Durability is not what the lab is for; speed is.
  cat >>"$new/postgresql.conf" <<CONF
port = $PG_PORT
listen_addresses = '127.0.0.1'
unix_socket_directories = '$PG_DIR/run'
fsync = off
synchronous_commit = off
full_page_writes = off
shared_buffers = 128MB
max_wal_size = 2GB
CONF
  rm -rf "$PG_DIR/data"
  mv "$new" "$PG_DIR/data"
}

postgres_down() {
  if [ -e "$PG_DIR/data/postmaster.pid" ]; then
    as_postgres "$PG_BIN/pg_ctl" -D "$PG_DIR/data" -m fast -w -t 30 stop >>"$HOLDFAST_LAB/log/postgres.log" 2>&1 ||
      as_postgres "$PG_BIN/pg_ctl" -D "$PG_DIR/data" -m immediate -w -t 30 stop >>"$HOLDFAST_LAB/log/postgres.log" 2>&1 || true
  fi
  rm -f "$HOLDFAST_LAB/run/postgres.pid"
}

postgres_status() { status_line postgres "$PG_PORT" "$PG_DIR/server.log"; }

has_database() { [ "$(sql postgres -At -c "SELECT count(*) FROM pg_database WHERE datname = '$1'")" = 1 ]; }

postgres_seed() { # postgres_seed LARGE
  has_database oms || sql postgres -f "$repository/scripts/lab/oms.sql" >/dev/null
  if ! has_database hivemeta; then
    local rows=2000
    [ "$1" = no ] || rows=2600000
    sql postgres -v rows=$rows -f "$repository/scripts/lab/hivemeta.sql" >/dev/null
  fi
  [ -d "$OMS_CONF" ] || seed_oms_conf
}

# Configuration as it is found in the wild: modes, links, attributes, odd names, times to the nanosecond.
seed_oms_conf() {
  mkdir -p "$OMS_CONF"/{empty,services/hdfs}
  printf 'controller.port=28443\nha.enabled=true\n' >"$OMS_CONF/controller.properties"
  printf '#!/bin/sh\nexit 0\n' >"$OMS_CONF/hook.sh"
  printf 'keystore.password.file=/etc/secret\n' >"$OMS_CONF/secret.properties"
  printf '<configuration/>\n' >"$OMS_CONF/services/hdfs/hdfs-site.xml"
  printf 'umlaut\n' >"$OMS_CONF/Größe 表.conf"
  head -c 3000000 /dev/urandom >"$OMS_CONF/keystore.jks"
  chmod 750 "$OMS_CONF/hook.sh"
  chmod 600 "$OMS_CONF/secret.properties"
  chmod 1770 "$OMS_CONF/empty"
  ln "$OMS_CONF/controller.properties" "$OMS_CONF/controller.second-name"
  ln -s services/hdfs/hdfs-site.xml "$OMS_CONF/hdfs-site.xml"
  ln -s /nowhere/at/all "$OMS_CONF/broken"
  touch -d '2020-01-02T03:04:05.678901234Z' "$OMS_CONF/hook.sh"
  # Not every file system has them; where it does, they must come back.
  setfattr -n user.holdfast -v 'kept' "$OMS_CONF/hook.sh" 2>/dev/null || true
  if [ "$(id -u)" -eq 0 ]; then chown 4321:4321 "$OMS_CONF/secret.properties"; fi
}

postgres_snapshot() { # postgres_snapshot DIR
  {
    dump pg_dumpall --roles-only | grep -E '^(CREATE|ALTER|GRANT)'
    dump pg_dump --create --exclude-table-data='t_alarm*' oms
  } >"$1/oms.sql"
  dump pg_dump --create hivemeta >"$1/dbservice.sql"
  (
    cd "$OMS_CONF"
    find . -printf '%y %m %U %G %n %T@ %p -> %l\n' | sort
    find . -type f -print0 | sort -z | xargs -0 sha256sum
    getfattr -R -P -h -d -m - -e hex . | sort
  ) >"$1/oms-config.txt"
}

postgres_destroy() {
  sql postgres -c 'DROP DATABASE IF EXISTS oms WITH (FORCE)' -c 'DROP DATABASE IF EXISTS hivemeta WITH (FORCE)' \
    -c 'DROP ROLE IF EXISTS oms_reader' -c 'DROP ROLE IF EXISTS oms_owner' -c 'DROP ROLE IF EXISTS hive'
  rm -rf "$OMS_CONF"
}
