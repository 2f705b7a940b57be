/** `holdfast set prune`: what retention says of every set, and, unless it is a dry run, what it does. */
import type { Command } from 'commander';
import { AdminServiceService as Admin } from '#common/gen/holdfast/v1/admin.ts';
import type { SetVerdict } from '#common/gen/holdfast/v1/admin.ts';
import { requireConsent } from './confirm.ts';
import { newRequestId } from './connect.ts';
import type { Api } from './connect.ts';
import type { Context } from './context.ts';
import { printTable, time } from './output.ts';
import { say } from './terminal.ts';

interface PruneOptions {
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

export function addSetPrune(set: Command, context: Context): void {
  set
    .command('prune [task]')
    .description(
      'Say of every set why it stays or goes, and delete those that go. A good run does the same for its own task; after a task was modified this does it now.',
    )
    .option('--dry-run', 'only say it; delete nothing')
    .option('--yes', 'do not ask')
    .action(async (task: string | undefined, options: PruneOptions) => {
      await context.withApi((api) => prune(context, api, task ?? '', options));
    });
}

async function prune(context: Context, api: Api, task: string, { dryRun, yes }: PruneOptions): Promise<void> {
  const ask = async (dry: boolean) =>
    (await api.call(Admin.pruneSets, { requestId: newRequestId(), task, dryRun: dry })).verdicts;
  const plan = await ask(true);
  if (dryRun === true || leaving(plan) === 0) {
    print(context, plan);
    return say(context.terminal, `${summary(plan)}; nothing was deleted`);
  }
  await agree(context, plan, yes, () => ask(true));
  const done = await ask(false);
  print(context, done);
  say(context.terminal, `${summary(done)}; those are being deleted`);
}

/** What goes is judged anew when it is done, and a person takes time: asked again until all that would go now was shown. */
async function agree(
  context: Context,
  plan: readonly SetVerdict[],
  yes: boolean | undefined,
  judgeAnew: () => Promise<readonly SetVerdict[]>,
): Promise<void> {
  const going = plan.filter(({ stays }) => !stays);
  if (yes !== true && context.terminal.interactive) {
    printTable({ ...context.terminal, out: context.terminal.err }, COLUMNS, going.map(row));
  }
  await requireConsent(context.terminal, `delete these ${going.length} backup file sets from every vault, for ever`, yes);
  if (yes === true) return;
  const shown = new Set(going.map(({ setId }) => setId));
  const now = await judgeAnew();
  if (now.every(({ setId, stays }) => stays || shown.has(setId))) return;
  say(context.terminal, 'meanwhile more sets would go; nothing was deleted yet');
  await agree(context, now, yes, judgeAnew);
}

function leaving(verdicts: readonly SetVerdict[]): number {
  return verdicts.filter(({ stays }) => !stays).length;
}

function summary(verdicts: readonly SetVerdict[]): string {
  const going = leaving(verdicts);
  return `of ${verdicts.length} sets ${verdicts.length - going} stay and ${going} go`;
}

const COLUMNS = ['set', 'task', 'created', 'verdict', 'why'];

function print(context: Context, verdicts: readonly SetVerdict[]): void {
  context.print(verdicts, () => {
    if (verdicts.length > 0) printTable(context.terminal, COLUMNS, verdicts.map(row));
  });
}

function row({ setId, task, createdMs, stays, reasons }: SetVerdict): string[] {
  return [setId, task, time(createdMs), stays ? 'stays' : 'goes', reasons.join('; ')];
}
