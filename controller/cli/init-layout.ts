/** What `holdfast init` is told, checked: who there is and where each is reached. */
import { resolve } from 'node:path';
import { AppError } from '#common/errors.ts';

export interface InitOptions {
  readonly directory: string;
  /** One, or each of two. */
  readonly controller: string | readonly string[];
  readonly active: string;
  readonly standby?: string;
  readonly node?: readonly string[];
  readonly dataPath: string;
  readonly days: string;
}

export interface InitNode {
  readonly name: string;
  readonly host: string;
  /** On management nodes. */
  readonly vault: { readonly port: number; readonly directory: string } | undefined;
}

export interface InitController {
  /** Of its directory, and in its certificate. */
  readonly name: string;
  readonly host: string;
  readonly port: number;
}

export interface Layout {
  /** Absolute. */
  readonly directory: string;
  /** Of several one leads. */
  readonly controllers: readonly InitController[];
  readonly active: string;
  readonly standby: string | undefined;
  readonly nodes: readonly InitNode[];
  readonly days: number;
}

const CONTROLLER_PORT = 25_700;
const VAULT_PORT = 25_701;
const NAME = /^[A-Za-z0-9][A-Za-z0-9.-]{0,62}$/;

/** @throws AppError INVALID */
export function readLayout(options: InitOptions): Layout {
  const controllers = [options.controller].flat().map((text, index) => ({
    name: index === 0 ? 'controller' : `controller-${index + 1}`,
    ...readAddress(text, '--controller', CONTROLLER_PORT),
  }));
  const active = readNode(options.active, '--active', VAULT_PORT);
  const standby = options.standby === undefined ? undefined : readNode(options.standby, '--standby', VAULT_PORT);
  const others = (options.node ?? []).map((text) => readNode(text, '--node', undefined));
  const management = standby === undefined ? [active] : [active, standby];

  // Two vaults on one machine (to try it out) must not share a directory.
  const apart = new Set(management.map(({ host }) => host)).size < management.length;
  const dataPath = resolve(options.dataPath);
  const nodes = [
    ...management.map(({ name, host, port }) => ({
      name,
      host,
      vault: { port: port ?? VAULT_PORT, directory: resolve(dataPath, apart ? name : '', 'LocalBackup') },
    })),
    ...others.map(({ name, host }) => ({ name, host, vault: undefined })),
  ];
  requireDistinct(nodes, controllers);
  return {
    directory: resolve(options.directory),
    controllers,
    active: active.name,
    standby: standby?.name,
    nodes,
    days: readDays(options.days),
  };
}

function requireDistinct(nodes: readonly InitNode[], controllers: readonly InitController[]): void {
  const names = new Set<string>();
  const addresses = new Set<string>();
  const listens = (address: string) => {
    if (addresses.has(address)) throw invalid(`two of them would listen on ${address}`);
    addresses.add(address);
  };
  for (const { host, port } of controllers) listens(`${host}:${port}`);
  for (const { name, host, vault } of nodes) {
    // Names become directories, and file systems may not tell letters' cases apart.
    if (names.has(name.toLowerCase())) throw invalid(`the node ${name} is named twice`);
    names.add(name.toLowerCase());
    if (vault !== undefined) listens(`${host}:${vault.port}`);
  }
}

function readNode(text: string, option: string, defaultPort: number | undefined) {
  const [name = '', ...rest] = text.split('=');
  if (!NAME.test(name) || rest.length > 1) {
    throw invalid(
      `${option} ${JSON.stringify(text)}: a node is a name of letters, digits, "." and "-", like mn1 or mn1=10.0.0.1`,
    );
  }
  const { host, port } = readAddress(rest[0] ?? name, option, defaultPort);
  return { name, host, port };
}

function readAddress(text: string, option: string, defaultPort: number): { host: string; port: number };
function readAddress(text: string, option: string, defaultPort: number | undefined): { host: string; port: number | undefined };
function readAddress(text: string, option: string, defaultPort: number | undefined) {
  const [host = '', port, ...more] = text.split(':');
  if (!NAME.test(host) || more.length > 0) {
    throw invalid(`${option}: ${JSON.stringify(text)} is not a host name or an IPv4 address with an optional port`);
  }
  if (port === undefined) return { host, port: defaultPort };
  if (defaultPort === undefined) throw invalid(`${option}: ${JSON.stringify(text)}: only management nodes listen on a port`);
  if (!/^\d{1,5}$/.test(port) || Number(port) < 1 || Number(port) > 65_535) {
    throw invalid(`${option}: ${JSON.stringify(port)} is not a port from 1 to 65535`);
  }
  return { host, port: Number(port) };
}

function readDays(text: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) < 1) throw invalid(`--days ${JSON.stringify(text)} is not a number of days`);
  return Number(text);
}

function invalid(message: string): AppError {
  return new AppError('INVALID', message);
}
