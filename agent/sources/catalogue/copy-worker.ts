/** Off the agent's main thread: a catalogue of years takes seconds to read, and heartbeats must not wait for that. */
import { backup, DatabaseSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';

/** In one step: a reader holds up nobody in WAL, while a copy by parts begins anew at each write of the controller. */
const ALL_PAGES = 2_147_483_647;

async function copy({ from, to }: { from: string; to: string }): Promise<void> {
  const source = new DatabaseSync(from, { readOnly: true, timeout: 10_000 });
  try {
    await backup(source, to, { rate: ALL_PAGES });
  } finally {
    source.close();
  }
  check(to);
}

function check(path: string): void {
  const made = new DatabaseSync(path);
  try {
    // One file, without the two that a WAL has beside it.
    made.exec('PRAGMA journal_mode = DELETE');
    const rows = made.prepare('PRAGMA integrity_check').all();
    const words = rows.map((row) => String(row['integrity_check']));
    if (words.join() !== 'ok') throw new Error(`its copy is damaged: ${words.slice(0, 3).join('; ')}`);
  } finally {
    made.close();
  }
}

await copy(workerData as { from: string; to: string });
parentPort?.postMessage('copied');
