# OpenLDAP with its own cn=config, users, groups and password policies. Sourced by lab.sh.

LDAP_PORT=$(port 20389)
LDAP_URL=ldap://127.0.0.1:$LDAP_PORT
LDAPS_PORT=$(port 20636)
LDAPS_URL=ldaps://127.0.0.1:$LDAPS_PORT
LDAP_DIR=$HOLDFAST_LAB/ldap
LDAP_SUFFIX=dc=holdfast,dc=test

ldap_up() {
  make_secret ldap
  make_command ldap-start ldap_start
  make_command ldap-stop ldap_stop
  [ -d "$LDAP_DIR/slapd.d" ] || ldap_init >>"$HOLDFAST_LAB/log/ldap.log" 2>&1
  ldap_start
}

ldap_init() {
  rm -rf "$LDAP_DIR/slapd.new"
  mkdir -p "$LDAP_DIR"/{slapd.new,data,tls}
  chmod 700 "$LDAP_DIR/data" "$LDAP_DIR/tls"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj /CN=127.0.0.1 \
    -keyout "$LDAP_DIR/tls/ldap.key" -out "$LDAP_DIR/tls/ldap.crt"
  chmod 600 "$LDAP_DIR/tls/ldap.key"
  local password
  password=$(slappasswd -T <(printf %s "$(cat "$HOLDFAST_LAB/secrets/ldap")"))
  sed -e "s#@DIR@#$LDAP_DIR#g; s#@SUFFIX@#$LDAP_SUFFIX#g; s#@RUN@#$HOLDFAST_LAB/run#g; s#@PASSWORD@#$password#g" \
    "$repository/scripts/lab/slapd.ldif" | slapadd -n 0 -F "$LDAP_DIR/slapd.new"
  # Last: where it is, all of it is.
  mv -T "$LDAP_DIR/slapd.new" "$LDAP_DIR/slapd.d"
}

ldap_start() {
  runs ldap && return 0
  /usr/sbin/slapd -h "$LDAP_URL $LDAPS_URL" -F "$LDAP_DIR/slapd.d" >>"$HOLDFAST_LAB/log/ldap.log" 2>&1
  wait_until 15 ldap_answers || return 1
}

ldap_answers() { ldapsearch -x -LLL -H "$LDAP_URL" -s base -b '' namingContexts >/dev/null 2>&1; }

ldap_stop() { stop_process ldap; }
ldap_down() { stop_process ldap; }
ldap_status() { status_line ldap "$LDAP_PORT" "$HOLDFAST_LAB/log/ldap.log"; }

ldap_seed() { # ldap_seed LARGE
  local users=1000
  [ "$1" = no ] || users=100000
  [ "$(slapcat -n 1 -F "$LDAP_DIR/slapd.d" 2>/dev/null | grep -c '^dn:')" -le $users ] || return 0
  ldap_stop
  rm -rf "$LDAP_DIR/data" && install -d -m 700 "$LDAP_DIR/data"
  ldap_entries $users | slapadd -q -n 1 -F "$LDAP_DIR/slapd.d" >>"$HOLDFAST_LAB/log/ldap.log" 2>&1
  ldap_start
  # A changed password leaves what a policy keeps: history and time of change, operational attributes that a restore must keep too.
  ldappasswd -x -H "$LDAP_URL" -D "cn=admin,$LDAP_SUFFIX" -y <(printf %s "$(cat "$HOLDFAST_LAB/secrets/ldap")") -s new-password "uid=user7,ou=people,$LDAP_SUFFIX"
}

ldap_entries() { # ldap_entries USERS
  local password
  password=$(slappasswd -s pass)
  cat <<LDIF
dn: $LDAP_SUFFIX
objectClass: dcObject
objectClass: organization
o: Holdfast lab
dc: holdfast

dn: ou=people,$LDAP_SUFFIX
objectClass: organizationalUnit
ou: people

dn: ou=groups,$LDAP_SUFFIX
objectClass: organizationalUnit
ou: groups

dn: ou=policies,$LDAP_SUFFIX
objectClass: organizationalUnit
ou: policies

dn: cn=default,ou=policies,$LDAP_SUFFIX
objectClass: device
objectClass: pwdPolicy
cn: default
pwdAttribute: userPassword
pwdInHistory: 3
pwdMaxFailure: 5
pwdLockout: TRUE

LDIF
  seq "$1" | awk -v suffix="$LDAP_SUFFIX" -v password="$password" '{
    printf "dn: uid=user%d,ou=people,%s\nobjectClass: inetOrgPerson\nuid: user%d\ncn: User %d\nsn: Nachname %d\nmail: user%d@holdfast.test\nuserPassword: %s\n\n", $1, suffix, $1, $1, $1, $1, password
  }'
  seq 20 | awk -v suffix="$LDAP_SUFFIX" '{
    printf "dn: cn=group%d,ou=groups,%s\nobjectClass: groupOfNames\ncn: group%d\n", $1, suffix, $1
    for (n = 1; n <= 25; n++) printf "member: uid=user%d,ou=people,%s\n", ($1 - 1) * 25 + n, suffix
    print ""
  }'
}

ldap_snapshot() { # ldap_snapshot DIR
  {
    slapcat -n 0 -F "$LDAP_DIR/slapd.d"
    slapcat -n 1 -F "$LDAP_DIR/slapd.d"
    (cd "$LDAP_DIR/tls" && find . -printf '%y %m %U %G %p\n' | sort && sha256sum ldap.crt ldap.key)
  } >"$1/ldap.ldif" 2>>"$HOLDFAST_LAB/log/ldap.log"
}

ldap_destroy() {
  ldap_stop
  rm -rf "$LDAP_DIR/data" "$LDAP_DIR/slapd.d" "$LDAP_DIR/tls"
}
