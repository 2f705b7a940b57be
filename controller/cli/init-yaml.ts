/** The starter configurations. They carry comments: a person fills in the rest. Every value that comes from outside is quoted by JSON, which YAML reads. */
import type { InitController, InitNode, Layout } from './init-layout.ts';

const quote = (text: string) => JSON.stringify(text);

/** A test installation on one machine listens on loopback only; a real one on every address of its node. */
function listenHost(host: string): string {
  return host === 'localhost' || host.startsWith('127.') ? '127.0.0.1' : '0.0.0.0';
}

export function controllerYaml({ controllers, active, standby }: Layout, { host, port }: InitController): string {
  return `# The controller. Paths may be relative to this file. Start it: holdfast controller --config controller.yaml
listen: { host: ${listenHost(host)}, port: ${port} }
# As agents, people and the other controller reach it.
address: ${quote(`${host}:${port}`)}
tls: { ca: ca.crt, cert: controller.crt, key: controller.key }
# ${controllers.length > 1 ? 'What it keeps beside the catalogue.' : 'The catalogue lies here, unless it is on PostgreSQL.'}
stateDirectory: state
${controllers.length > 1 ? SHARED_CATALOGUE : commented(SHARED_CATALOGUE)}
# Signs what agents may do in a vault; vaults hold the public half${controllers.length > 1 ? '. The same for every controller' : ''}.
grantSigningKey: grant.key
managementNodes:
  active: ${quote(active)}
${standby === undefined ? '  # standby: mn2' : `  standby: ${quote(standby)}`}
# The system task that exists from the start: OMS, LdapServer, DBService, NameNode. Read at the first start only;
# change it later with: holdfast task modify default
defaultTask:
  period: 24h
# What must be free on the active management node before a backup starts.
# minimumFree: 20 GB
`;
}

/** Not commented out for several: each on a catalogue of its own, they would all lead. */
const SHARED_CATALOGUE = `# Several controllers have one catalogue, in a database of its own on PostgreSQL: create it empty, owned by this user. The same everywhere.
catalogue:
  postgres:
    host: 127.0.0.1
    port: 5432
    user: holdfast
    database: holdfast
    # Mode 600.
    passwordFile: /etc/holdfast/secrets/catalogue
    # Unless it is on this machine: the CA of the server's certificate.
    # tls: { ca: postgres-ca.crt }
# The other one takes over when the leader has not renewed its lease for so long.
# leaderLease: 6s`;

function commented(yaml: string): string {
  return yaml.replaceAll(/^(?!#)/gm, '# ');
}

function addressesOf({ controllers }: Layout): string[] {
  return controllers.map(({ host, port }) => quote(`${host}:${port}`));
}

export function clientYaml(layout: Layout): string {
  const addresses = addressesOf(layout);
  return `# For the command line: --config FILE, HOLDFAST_CONFIG, or ~/.holdfast/client.yaml. Paths may be relative to this file.
controller: ${addresses.length > 1 ? `[${addresses.join(', ')}]` : addresses.join('')}
tls: { ca: ca.crt, cert: admin.crt, key: admin.key }
`;
}

export function agentYaml(layout: Layout, node: InitNode): string {
  const addresses = addressesOf(layout);
  const controller = addresses.length > 1 ? `addresses: [${addresses.join(', ')}]` : `address: ${addresses.join('')}`;
  return `# The agent of ${node.name}. Paths may be relative to this file. Start it: holdfast agent --config agent.yaml
node: ${quote(node.name)}
controller: { ${controller} }
tls: { ca: ca.crt, cert: node.crt, key: node.key }
# Journal and spool; a dump is spooled here before it is stored, so give it room.
stateDirectory: state
${node.vault === undefined ? '' : vaultYaml(node.host, node.vault)}
${SOURCES}`;
}

function vaultYaml(host: string, vault: { port: number; directory: string }): string {
  return `
# LocalDir on this management node.
vault:
  directory: ${quote(vault.directory)}
  listen: { host: ${listenHost(host)}, port: ${vault.port} }
  # As the other agents reach it.
  url: ${quote(`https://${host}:${vault.port}`)}
  grantKey: grant.pub
  # Backup files use at most this much in all.
  capBytes: 600 GB
  # The partition keeps this much free.
  minimumFree: 20 GB
`;
}

const SOURCES = `# What this node backs up and restores: take away the braces and the # of what is here. Passwords stand in files of mode 600.
sources: {}
#  oms:
#    database:
#      host: 127.0.0.1
#      port: 5432
#      user: postgres
#      passwordFile: /etc/holdfast/secrets/oms-db
#      name: oms
#      # Tables whose data are left out. The default, which a list of your own replaces: those of alarms, as restored ones would be wrong.
#      # excludeDataOf: ["*.t_alarm*"]
#    configuration: [/opt/oms/conf]
#    # Where the controller of a catalogue on SQLite runs on this node: its catalogue is backed up with OMS (tasks, pins, history).
#    # catalogue: /etc/holdfast/controller/state/catalogue.sqlite
#  dbService:
#    host: 127.0.0.1
#    port: 5432
#    user: postgres
#    passwordFile: /etc/holdfast/secrets/dbservice
#    databases: [hivemeta]
#  ldapServer:
#    configDirectory: /etc/ldap/slapd.d
#    tlsDirectory: /etc/ldap/tls
#    start: [systemctl, start, slapd]
#    stop: [systemctl, stop, slapd]
#    url: ldap://127.0.0.1:389
#  nameNode:
#    nameService: hacluster
#    httpAddress: 127.0.0.1:9870
#    rpcAddress: 127.0.0.1:9000
#    nameDirectory: /srv/BigData/namenode
#    hdfs: /opt/hadoop/bin/hdfs
`;
