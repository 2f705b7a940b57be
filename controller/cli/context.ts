/** What every command is given: the terminal, and the way to the controller when it needs one. */
import type { Command } from 'commander';
import { connect } from './connect.ts';
import type { Api } from './connect.ts';
import { printJson } from './output.ts';
import type { Terminal } from './terminal.ts';

export interface GlobalOptions {
  readonly config?: string;
  readonly json?: boolean;
}

export class Context {
  readonly terminal: Terminal;
  readonly #program: Command;

  constructor(terminal: Terminal, program: Command) {
    this.terminal = terminal;
    this.#program = program;
  }

  get options(): GlobalOptions {
    return this.#program.opts<GlobalOptions>();
  }

  /** The connection is closed on every way out. */
  async withApi<T>(use: (api: Api) => Promise<T>): Promise<T> {
    const api = await connect(this.terminal, this.options.config);
    try {
      return await use(api);
    } finally {
      api.close();
    }
  }

  /** One JSON document with --json, else what `people` prints. */
  print(value: unknown, people: () => void): void {
    if (this.options.json === true) printJson(this.terminal, value);
    else people();
  }
}
