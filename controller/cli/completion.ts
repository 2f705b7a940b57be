/** `holdfast completion`: written from the commands themselves, so that it never lags behind them. */
import type { Command } from 'commander';
import { AppError } from '#common/errors.ts';
import { SOURCE_NAMES } from '#common/names.ts';
import type { Context } from './context.ts';
import { LATE_CHOICES } from './task-mode.ts';
import { POLICY_CHOICES, TARGETS } from './task-spec.ts';

/** Arguments and options whose values the controller knows: how to list them. */
const NAMED: Readonly<Record<string, { list: string; field: string }>> = {
  task: { list: 'task list', field: 'name' },
  run: { list: 'run list', field: 'id' },
  set: { list: 'set list', field: 'id' },
  restore: { list: 'restore list', field: 'name' },
  node: { list: 'agent list', field: 'node' },
  pattern: { list: 'config show', field: 'name' },
};

/** Options that take one of a few words, by their placeholder. */
const FIXED: Readonly<Record<string, readonly string[]>> = {
  source: SOURCE_NAMES,
  policy: POLICY_CHOICES,
  target: TARGETS,
  late: LATE_CHOICES,
};

/** The daemon is no command of this program: its words stand here, and a test compares them with its help. */
const DAEMON: readonly Pick<Completed, 'path' | 'words' | 'argument'>[] = [
  { path: 'controller', words: ['export', 'import', '--config', '--help'], argument: undefined },
  ...['export', 'import'].map((verb) => ({ path: `controller ${verb}`, words: ['--config', '--help'], argument: 'file' })),
];

export function addCompletion(program: Command, context: Context): void {
  program
    .command('completion <shell>')
    .description('Print the completion script of bash or zsh.')
    .addHelpText('after', '\nbash: source <(holdfast completion bash)\nzsh:  source <(holdfast completion zsh), after compinit')
    .action((shell: string) => {
      if (shell !== 'bash' && shell !== 'zsh') {
        throw new AppError('INVALID', `there is no completion for ${JSON.stringify(shell)}`, { hint: 'Shells: bash, zsh.' });
      }
      // zsh runs completions written for bash.
      const prefix = shell === 'zsh' ? 'autoload -U +X bashcompinit && bashcompinit\n' : '';
      context.terminal.out.write(prefix + bashScript(program));
    });
}

function bashScript(program: Command): string {
  const own = walk(program, '');
  const commands = [...own, ...DAEMON];
  const words = commands.map(({ path, words: known }) => `    '${path}') words='${known.join(' ')}' ;;`);
  const named = commands.flatMap(({ path, argument }) => {
    if (argument === 'file') return [`    '${path}') COMPREPLY=($(compgen -f -- "$current")); return ;;`];
    const known = NAMED[argument ?? ''];
    return known === undefined ? [] : [`    '${path}') words="$(_holdfast_names ${known.list} ${known.field})" ;;`];
  });
  const valued = optionsOf(program, own).filter(({ value }) => value !== undefined);
  return `# Completion of holdfast for bash (and zsh by bashcompinit). Made by: holdfast completion
_holdfast_names() { # noun verb field: what the controller lists; silent when it cannot be reached
  holdfast "$1" "$2" --json 2>/dev/null | sed -n 's/^    "'"$3"'": "\\([^"]*\\)",\\{0,1\\}$/\\1/p'
}
_holdfast() { # no variable is called path: in zsh that is PATH
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} command='' words='' word i skip=''
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    if [ -n "$skip" ]; then skip=''; continue; fi
    case $word in
      ${valued.map(({ flag }) => flag).join(' | ')}) skip=yes ;;
      -*) ;;
      *) case "$command\${command:+ }$word" in
          ${commands.flatMap(({ path }) => (path === '' ? [] : [`'${path}'`])).join(' | ')}) command="$command\${command:+ }$word" ;;
        esac ;;
    esac
  done
  case $previous in
${valued.map(({ flag, value }) => `    ${flag}) ${valueReply(value ?? '')}; return ;;`).join('\n')}
  esac
  case $command in
${words.join('\n')}
  esac
  case $current in
    -*) ;;
    *) case $command in
${named.join('\n')}
    esac ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -F _holdfast holdfast
`;
}

interface Completed {
  readonly path: string;
  readonly words: readonly string[];
  readonly argument: string | undefined;
  readonly command: Command;
}

function walk(command: Command, path: string): Completed[] {
  const help = command.createHelp();
  const children = command.commands;
  const flags = [...help.visibleOptions(command), ...help.visibleGlobalOptions(command)].flatMap(({ long }) => long ?? []);
  const argument = command.registeredArguments[0]?.name();
  const shells = argument === 'shell' ? ['bash', 'zsh'] : [];
  const names = [...children.map((child) => child.name()), ...(path === '' ? ['controller'] : []), ...shells];
  return [
    { path, words: [...names, ...flags], argument, command },
    ...children.flatMap((child) => walk(child, `${path}${path === '' ? '' : ' '}${child.name()}`)),
  ];
}

function optionsOf(program: Command, commands: readonly Completed[]): { flag: string; value: string | undefined }[] {
  const all = [program, ...commands.map(({ command }) => command)].flatMap(({ options }) => options);
  const seen = new Map(all.flatMap(({ long, flags }) => (long ? [[long, /<([^>]+)>/.exec(flags)?.[1]] as const] : [])));
  return [...seen].map(([flag, value]) => ({ flag, value }));
}

function valueReply(value: string): string {
  const known = NAMED[value];
  const reply = (from: string) => `COMPREPLY=($(compgen ${from} -- "$current"))`;
  if (known !== undefined) return reply(`-W "$(_holdfast_names ${known.list} ${known.field})"`);
  if (value === 'file') return reply('-f');
  if (value === 'dir') return reply('-d');
  const fixed = FIXED[value];
  return fixed === undefined ? ':' : reply(`-W '${fixed.join(' ')}'`);
}
