/** A controller as far as the catalogue goes, in a process of its own that a test may stop and continue: writes one task after another while it leads. */
import { toAppError } from '#common/errors.ts';
import { openPostgresStore } from '../../controller/store/postgres.ts';
import { taskOf } from './samples.ts';

const [port, database, passwordFile] = process.argv.slice(2);
const store = await openPostgresStore({
  host: '127.0.0.1',
  port: Number(port),
  user: 'postgres',
  database,
  passwordFile,
  idleInTransactionMs: 500,
});
const said = (event: object) => process.stdout.write(`${JSON.stringify(event)}\n`);
const lead = await store.takeLead({ holder: 'old', address: 'old:1' }, 200);
for (let number = 1; lead.kind === 'leading'; number++) {
  try {
    await store.transaction(async (view) => {
      await view.putTask(taskOf(`old_${number}`));
      await view.putTask(taskOf(`old_${number}_second`));
    });
    said({ wrote: number });
  } catch (caught) {
    const { code, hint } = toAppError(caught, 'write');
    said({ code, hint });
    if (code === 'NOT_LEADER') break;
  }
}
await store.close();
