/** A real SMTP server: aiosmtpd, of Debian's python3-aiosmtpd, on a free port (or the one given). */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { createInterface } from 'node:readline';

export interface ReceivedMail {
  readonly from: string;
  readonly to: readonly string[];
  readonly tls: boolean;
  readonly user: string | null;
  readonly data: string;
}

export interface SmtpServer extends AsyncDisposable {
  readonly port: number;
  readonly mails: readonly ReceivedMail[];
}

interface SmtpOptions {
  readonly mode: 'starttls' | 'tls' | 'none';
  readonly cert?: string;
  readonly key?: string;
  readonly login?: readonly [user: string, password: string];
  readonly port?: number;
}

/** Debian's Python, which has the package; another one may come first in PATH. */
const PYTHON = '/usr/bin/python3';

export async function startSmtp(options: SmtpOptions): Promise<SmtpServer> {
  const script = fileURLToPath(new URL('smtp_server.py', import.meta.url));
  const server = spawn(PYTHON, ['-W', 'ignore', script, JSON.stringify(options)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const gone = once(server, 'exit');
  const mails: ReceivedMail[] = [];
  const lines = createInterface({ input: server.stdout });
  const first = await Promise.race([
    once(lines, 'line'),
    gone.then(() => Promise.reject(new Error('the SMTP server did not start'))),
  ]);
  const { port } = JSON.parse(String(first[0])) as { port: number };
  lines.on('line', (line) => mails.push(JSON.parse(line) as ReceivedMail));
  return {
    port,
    mails,
    [Symbol.asyncDispose]: async () => {
      server.kill();
      await gone;
    },
  };
}
