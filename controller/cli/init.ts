/** `holdfast init`: the CA, keys, certificates and starter configuration of every node, made whole or not at all. */
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { Command } from 'commander';
import { createAuthority, createGrantKeys, issueCertificate } from '#common/certificates.ts';
import type { KeyAndCertificate } from '#common/certificates.ts';
import { writeDurably } from '#common/durable-file.ts';
import { AppError, toAppError } from '#common/errors.ts';
import type { PeerRole } from '#common/tls.ts';
import type { Context } from './context.ts';
import { readLayout } from './init-layout.ts';
import type { InitOptions, Layout } from './init-layout.ts';
import { agentYaml, clientYaml, controllerYaml } from './init-yaml.ts';
import { collect } from './options.ts';
import { printLines } from './output.ts';

export function addInit(program: Command, context: Context): void {
  program
    .command('init')
    .summary('Make the CA, certificates and starter configuration of a new Holdfast.')
    .description(
      'Makes the CA, the keys, the certificates and a starter configuration of every node, in a new directory. Needs no controller. ' +
        'Hosts that are left out are the names of the nodes.',
    )
    .requiredOption('--directory <dir>', 'where everything is written; must not exist or be empty')
    .requiredOption(
      '--controller <host[:port]>',
      'where the controller will run (port 25700 by default); repeat for two, of which one leads',
      collect,
    )
    .requiredOption('--active <node[=host[:port]]>', 'the active management node; the port is that of its vault (25701)')
    .option('--standby <node[=host[:port]]>', 'the standby management node; without one, backups have a single copy')
    .option('--node <node[=host]>', 'a node with sources; repeat for each', collect)
    .option('--data-path <dir>', 'where <data path>/LocalBackup lies on the management nodes', '/srv/BigData')
    .option('--days <n>', 'how long the certificates are good', '3650')
    .action(async (options: InitOptions) => {
      const layout = readLayout(options);
      await init(layout, context.terminal.clock.now());
      context.print(layout, () => printLines(context.terminal, nextSteps(layout)));
    });
}

/** All or nothing: it is built beside its place and moved there. `now` in epoch milliseconds. */
export async function init(layout: Layout, now: number): Promise<void> {
  const target = layout.directory;
  await requireEmpty(target);
  let building: string | undefined;
  try {
    await mkdir(dirname(target), { recursive: true });
    building = await mkdtemp(join(dirname(target), `.${basename(target)}-`));
    await build(building, layout, now);
    await rename(building, target);
  } catch (error) {
    if (building !== undefined) await rm(building, { recursive: true, force: true });
    throw toAppError(error, `make ${target}`);
  }
}

async function requireEmpty(directory: string): Promise<void> {
  let found: string[];
  try {
    found = await readdir(directory);
  } catch (error) {
    const appError = toAppError(error, `look into ${directory}`);
    if (appError.code === 'NOT_FOUND') return;
    throw appError;
  }
  if (found.length > 0) {
    throw new AppError('ALREADY_EXISTS', `the directory ${directory} is not empty`, {
      hint: 'Choose another --directory: what is there may be the keys of a Holdfast in use, and is never overwritten.',
    });
  }
}

async function build(directory: string, layout: Layout, now: number): Promise<void> {
  const { days } = layout;
  const authority = await createAuthority({ commonName: 'Holdfast CA', days, now });
  const grant = createGrantKeys();
  const write = async (path: string, content: string) => {
    const file = join(directory, path);
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    await writeDurably(file, content);
  };
  const writeIdentity = async (folder: string, name: string, role: PeerRole, commonName: string, hosts: readonly string[]) => {
    const own: KeyAndCertificate = await issueCertificate(authority, { commonName, role, hosts, days, now });
    await write(join(folder, 'ca.crt'), authority.certPem);
    await write(join(folder, `${name}.crt`), own.certPem);
    await write(join(folder, `${name}.key`), own.keyPem);
  };

  await write('ca/ca.crt', authority.certPem);
  await write('ca/ca.key', authority.keyPem);
  for (const controller of layout.controllers) {
    const { name, host } = controller;
    await writeIdentity(name, 'controller', 'controller', name, [host]);
    await write(join(name, 'grant.key'), grant.privatePem);
    await write(join(name, 'controller.yaml'), controllerYaml(layout, controller));
  }
  await writeIdentity('admin', 'admin', 'admin', 'admin', []);
  await write('admin/client.yaml', clientYaml(layout));
  for (const node of layout.nodes) {
    const folder = join('nodes', node.name);
    await writeIdentity(folder, 'node', 'agent', node.name, [node.host]);
    await write(join(folder, 'grant.pub'), grant.publicPem);
    await write(join(folder, 'agent.yaml'), agentYaml(layout, node));
  }
}

function nextSteps({ directory, controllers, nodes }: Layout): string[] {
  const folder = (name: string, what: string) => `  ${name}/`.padEnd(19) + what;
  const starts = (host: string, daemon: string, file: string) =>
    `On ${host}: holdfast ${daemon} --config ${resolve(directory, file)}`;
  const daemons = [
    ...controllers.map(({ name, host }) => starts(host, 'controller', join(name, 'controller.yaml'))),
    ...nodes.map(({ name, host }) => starts(host, 'agent', join('nodes', name, 'agent.yaml'))),
  ];
  const steps = [
    ['Copy them so that only the user who runs them can read them (modes 600 and 700 are set: cp -a, rsync -a).'],
    ['Name the sources of each node in its agent.yaml; examples stand in it.'],
    ...(controllers.length > 1 ? [['Name the database of the catalogue in each controller.yaml.']] : []),
    daemons,
    [
      `export HOLDFAST_CONFIG=${resolve(directory, 'admin/client.yaml')}`,
      'holdfast agent list',
      'holdfast task run default --wait',
    ],
  ];
  return [
    `Made ${directory}:`,
    folder('ca', 'keep it offline: whoever has ca.key can sign certificates of this Holdfast'),
    ...controllers.map(({ name, host }) => folder(name, `copy to ${host}`)),
    ...nodes.map(({ name, host }) => folder(`nodes/${name}`, `copy to ${host}`)),
    folder('admin', 'for you: everything that the command line needs'),
    'Next:',
    ...steps.flatMap((lines, step) => lines.map((line, index) => (index === 0 ? `  ${step + 1}. ${line}` : `     ${line}`))),
  ];
}
