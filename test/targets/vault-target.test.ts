import { afterAll } from 'vitest';
import { openTestVault } from '../vault/test-vault.ts';
import { targetContract } from './contract.ts';

const vault = await openTestVault();
afterAll(() => vault[Symbol.asyncDispose]());

targetContract('the vault of a node', () => vault.open());
