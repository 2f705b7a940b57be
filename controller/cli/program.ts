/** The commands of `holdfast`, one file a noun. */
import { Command } from 'commander';
import { PRODUCT_VERSION } from '#common/version.ts';
import { addAgent } from './agent.ts';
import { addAlarm } from './alarm.ts';
import { addCompletion } from './completion.ts';
import { addConfig } from './config.ts';
import { Context } from './context.ts';
import { report } from './errors.ts';
import { addInit } from './init.ts';
import { addRestore } from './restore.ts';
import { addRun } from './run.ts';
import { addSet } from './set.ts';
import { addSpace } from './space.ts';
import { addTask } from './task.ts';
import type { Terminal } from './terminal.ts';

const DAEMONS = `
Daemons (each with --config FILE, as \`holdfast init\` made it):
  controller                     keeps the catalogue, decides what runs when
  controller export|import FILE  carries the catalogue to another database, while no controller leads
  agent                          on every node: holds its vault, backs up and restores its sources

Exit status: 0 done, 2 bad input, 3 not found, 4 refused in the present state, 5 failed, 6 unreachable, 7 not allowed,
8 damaged data, 9 no space, 70 a fault of Holdfast, 130 interrupted. Every command and its output: docs/cli.md`;

export function createProgram(terminal: Terminal): Command {
  const program = new Command('holdfast')
    .description('Backup and restoration for Hadoop clusters.')
    .version(PRODUCT_VERSION, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'explain a command')
    .helpCommand('help [command]', 'explain a command')
    .option('--config <file>', 'client.yaml; else $HOLDFAST_CONFIG, else ~/.holdfast/client.yaml')
    .option('--json', 'print one JSON document instead of a table')
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => void terminal.out.write(text),
      writeErr: (text) => void terminal.err.write(text),
      // Printed by report(), like every other error.
      outputError: () => undefined,
    })
    .exitOverride()
    .addHelpText('after', DAEMONS);
  const context = new Context(terminal, program);
  addInit(program, context);
  addTask(program, context);
  addRun(program, context);
  addSet(program, context);
  addRestore(program, context);
  addAgent(program, context);
  addSpace(program, context);
  addAlarm(program, context);
  addConfig(program, context);
  addCompletion(program, context);
  return program;
}

/** `args` without the program's own name. The exit status. */
export async function runCli(args: readonly string[], terminal: Terminal): Promise<number> {
  try {
    await createProgram(terminal).parseAsync(args, { from: 'user' });
    return 0;
  } catch (error) {
    return report(error, terminal);
  }
}
