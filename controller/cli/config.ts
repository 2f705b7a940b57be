/** `holdfast config show`: the settings that the controller goes by. */
import type { Command } from 'commander';
import { AdminServiceService as Admin } from '#common/gen/holdfast/v1/admin.ts';
import type { Setting } from '#common/gen/holdfast/v1/admin.ts';
import { AppError } from '#common/errors.ts';
import type { Context } from './context.ts';
import { printTable } from './output.ts';
import { say } from './terminal.ts';

export function addConfig(program: Command, context: Context): void {
  const config = program.command('config').description('Settings of the controller, as they are in force.');
  config
    .command('show [pattern]')
    .description(
      'Show each setting of the controller with its default and what it means; those that differ from the default are marked *. Only those whose name holds the pattern; * in it is anything.',
    )
    .action(async (pattern: string | undefined) => {
      const { settings } = await context.withApi((api) => api.call(Admin.getConfig, {}));
      const shown = settings.filter(matching(pattern ?? ''));
      if (shown.length === 0) {
        throw new AppError('NOT_FOUND', `no setting has a name like ${JSON.stringify(pattern)}`, {
          hint: 'See all of them: holdfast config show',
        });
      }
      context.print(shown.map(view), () => {
        printTable(context.terminal, ['', 'setting', 'value', 'default', 'meaning'], shown.map(row));
        if (shown.some(differs)) say(context.terminal, '* differs from the default');
      });
    });
}

function matching(pattern: string): (setting: Setting) => boolean {
  const parts = pattern
    .toLowerCase()
    .split('*')
    .map((part) => part.replaceAll(/[^a-z0-9]/g, String.raw`\$&`));
  const whole = new RegExp(parts.length === 1 ? parts.join('') : `^${parts.join('.*')}$`);
  return ({ name }) => whole.test(name.toLowerCase());
}

/** One without a default differs from nothing; one without a value is not in force, as those of PostgreSQL on SQLite. */
function differs({ value, defaultValue }: Setting): boolean {
  return value !== '' && defaultValue !== '' && value !== defaultValue;
}

function row(setting: Setting): string[] {
  const { name, value, defaultValue, meaning } = setting;
  return [differs(setting) ? '*' : '', name, value === '' ? '-' : value, defaultValue === '' ? '-' : defaultValue, meaning];
}

function view(setting: Setting) {
  return { ...setting, differs: differs(setting) };
}
