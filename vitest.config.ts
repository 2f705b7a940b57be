import { defineConfig } from 'vitest/config';

const e2e = 'test/e2e/**/*.test.ts';
export default defineConfig({
  test: {
    // Real servers are started by many of the tests: on two cores more files at once only make each other late.
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 120_000,
    projects: [
      { extends: true, test: { name: 'areas', include: ['test/**/*.test.ts'], exclude: [e2e] } },
      // The whole product on real services: one quickstart, whose cluster all of these tests use one after another.
      { extends: true, test: { name: 'e2e', include: [e2e], globalSetup: ['test/e2e/quickstart.ts'], fileParallelism: false } },
    ],
  },
});
