/** The words for a set, used exactly so everywhere: see docs/design.md. */
import type { ControllerConfig } from '../config.ts';
import type { BackupSet } from '../model.ts';
import { managementNodes } from './engine-io.ts';

export type SetStateName = 'incomplete' | 'degraded' | 'complete' | 'deleting';

export function setStateOf(set: BackupSet, config: ControllerConfig): SetStateName {
  if (set.deleting !== undefined) return 'deleting';
  if (set.missingSources.length > 0 || set.files.some(({ nodes }) => nodes.length === 0)) return 'incomplete';
  return lackingNodes(set, config).length > 0 ? 'degraded' : 'complete';
}

/** Management nodes whose vault lacks files that the set has. */
export function lackingNodes(set: BackupSet, config: ControllerConfig): string[] {
  return managementNodes(config).filter((node) => set.files.some((held) => !held.nodes.includes(node)));
}
