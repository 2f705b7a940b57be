/** `holdfast`: the command line client. Speaks to the controller by the public API only. */
import { systemClock } from '#common/clock.ts';
import { AppError } from '#common/errors.ts';
import { runCli } from './program.ts';

// grpc-js names an IP address as TLS server name, for which Node prints a warning (DEP0123) that no user can act on.
process.noDeprecation = true;

const interrupted = new AbortController();
process.once('SIGINT', () => {
  interrupted.abort(new AppError('STOPPED', 'interrupted', { hint: 'Nothing of what was already asked for is undone.' }));
});
// `holdfast run list | head`: the reader has what it wants.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

const status = await runCli(process.argv.slice(2), {
  out: process.stdout,
  err: process.stderr,
  interactive: process.stdin.isTTY && process.stderr.isTTY,
  env: process.env,
  clock: systemClock,
  signal: interrupted.signal,
});
// What was said is written out first; a connection that never came to stand must not keep us.
for (const stream of [process.stdout, process.stderr]) await new Promise((done) => stream.write('', done));
process.exit(status);
