import { afterAll, beforeAll } from 'vitest';
import { startServer } from '../sources/postgres/server.ts';
import type { TestServer } from '../sources/postgres/server.ts';
import { storeContract } from './contract.ts';
import { postgresHome } from './homes.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.stop());

storeContract('PostgreSQL', () => postgresHome(server));
