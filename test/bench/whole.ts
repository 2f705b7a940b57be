import type { BenchCase } from './case.ts';

export const wholeCases: readonly BenchCase[] = [];
