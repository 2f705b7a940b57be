/**
 * A network of the test's own: a namespace for each machine, and one for the switch between them. Nothing leads out of it; its addresses
 * are known nowhere else. Every fault heals when its scope ends, so that a test that fails leaves the next one a sound net.
 */
import { execa } from 'execa';

export const MACHINES = ['controller', 'mn1', 'mn2', 'dn1'] as const;
export type Machine = (typeof MACHINES)[number];

export const ADDRESS: Readonly<Record<Machine, string>> = {
  controller: '10.77.0.1',
  mn1: '10.77.0.2',
  mn2: '10.77.0.3',
  dn1: '10.77.0.4',
};
/** The switch's own. It forwards nothing that is sent to it: a route that leads here is a black hole, without any answer. */
const HOLE = '10.77.0.254';

export interface Fault extends AsyncDisposable {
  heal(): Promise<void>;
}

export interface Network extends AsyncDisposable {
  /** The command that runs this one in the net of that machine. */
  inside(machine: Machine | 'switch', command: readonly string[]): string[];
  /** The machine's own interface is down: it has no route any more. */
  linkDown(machine: Machine): Promise<Fault>;
  /** The cable is out at the switch: the machine goes on sending, to nobody. */
  unplugged(machine: Machine): Promise<Fault>;
  /** What one of them sends to the other vanishes; nobody says so. */
  blackHole(one: Machine, ...others: readonly Machine[]): Promise<Fault>;
  /** Each way, by a token bucket. */
  slow(machine: Machine, rate: string): Promise<Fault>;
  /** The machine is off the switch, and these addresses are its own: a relay takes what it sends there. */
  captured(machine: Machine, addresses: readonly string[]): Promise<Fault>;
}

/** @throws Error without root. */
export async function createNetwork(): Promise<Network> {
  if (process.getuid?.() !== 0) {
    throw new Error(
      'these tests make network namespaces, which only root may: run them as root (sudo ./scripts/test.sh test/net)',
    );
  }
  await sweep();
  const nameOf = (machine: Machine | 'switch') => `${PREFIX}${process.pid}-${machine}`;
  const all = ['switch', ...MACHINES] as const;
  const ip = (machine: Machine | 'switch', ...args: readonly string[]) => tool('ip', '-n', nameOf(machine), ...args);
  const tc = (machine: Machine | 'switch', ...args: readonly string[]) => tool('tc', '-n', nameOf(machine), ...args);

  await using made = new AsyncDisposableStack();
  for (const machine of all) {
    await tool('ip', 'netns', 'add', nameOf(machine));
    made.defer(async () => void (await tool('ip', 'netns', 'delete', nameOf(machine))));
  }
  await ip('switch', 'link', 'add', 'bridge', 'type', 'bridge');
  await ip('switch', 'address', 'add', `${HOLE}/24`, 'dev', 'bridge');
  await ip('switch', 'link', 'set', 'bridge', 'up');
  await tool('ip', 'netns', 'exec', nameOf('switch'), 'sysctl', '-qw', 'net.ipv4.ip_forward=0');
  for (const machine of MACHINES) {
    const port = portOf(machine);
    await ip('switch', 'link', 'add', 'name', port, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', nameOf(machine));
    await ip('switch', 'link', 'set', 'dev', port, 'master', 'bridge', 'up');
    await ip(machine, 'link', 'set', 'lo', 'up');
    await ip(machine, 'address', 'add', `${ADDRESS[machine]}/24`, 'dev', 'eth0');
    await ip(machine, 'link', 'set', 'eth0', 'up');
  }
  const held = made.move();

  const link = async (machine: Machine | 'switch', device: string): Promise<Fault> => {
    await ip(machine, 'link', 'set', 'dev', device, 'down');
    return fault(() => ip(machine, 'link', 'set', 'dev', device, 'up'));
  };
  return {
    inside: (machine, command) => ['ip', 'netns', 'exec', nameOf(machine), ...command],
    linkDown: (machine) => link(machine, 'eth0'),
    unplugged: (machine) => link('switch', portOf(machine)),

    async blackHole(one, ...others) {
      const ways = others.flatMap((other) => [[one, other] as const, [other, one] as const]);
      for (const [from, to] of ways) await ip(from, 'route', 'add', `${ADDRESS[to]}/32`, 'via', HOLE);
      return fault(async () => {
        for (const [from, to] of ways) await ip(from, 'route', 'delete', `${ADDRESS[to]}/32`);
      });
    },

    async slow(machine, rate) {
      const ends = [[machine, 'eth0'] as const, ['switch', portOf(machine)] as const];
      for (const [where, device] of ends) {
        await tc(where, 'qdisc', 'add', 'dev', device, 'root', 'tbf', 'rate', rate, 'burst', '64kb', 'latency', '200ms');
      }
      return fault(async () => {
        for (const [where, device] of ends) await tc(where, 'qdisc', 'delete', 'dev', device, 'root');
      });
    },

    async captured(machine, addresses) {
      const down = await link(machine, 'eth0');
      for (const address of addresses) await ip(machine, 'address', 'add', `${address}/32`, 'dev', 'lo');
      return fault(async () => {
        for (const address of addresses) await ip(machine, 'address', 'delete', `${address}/32`, 'dev', 'lo');
        await down.heal();
      });
    },

    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

const PREFIX = 'holdfast-net-';

/** Those of a test that was killed before it could take down its own. */
async function sweep(): Promise<void> {
  const names = (await tool('ip', 'netns', 'list')).split('\n').map((line) => line.split(' ')[0] ?? '');
  for (const name of names.filter((each) => each.startsWith(PREFIX))) {
    if (!isAlive(Number(name.slice(PREFIX.length).split('-')[0]))) await tool('ip', 'netns', 'delete', name);
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Names of interfaces have 15 characters at most. */
function portOf(machine: Machine): string {
  return `p-${machine}`;
}

function fault(undo: () => Promise<unknown>): Fault {
  let healed = false;
  const heal = async () => {
    if (healed) return;
    healed = true;
    await undo();
  };
  return { heal, [Symbol.asyncDispose]: heal };
}

async function tool(name: string, ...args: readonly string[]): Promise<string> {
  return (await execa(name, args, { stdin: 'ignore' })).stdout;
}
