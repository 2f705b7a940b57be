/** Paths of HDFS. */
import { AppError } from '#common/errors.ts';

export function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/')) || '/';
}

export function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

export function join(directory: string, name: string): string {
  return directory === '/' ? `/${name}` : `${directory}/${name}`;
}

/** Whether `path` is `directory`, or lies in it. */
export function isWithin(path: string, directory: string): boolean {
  return path === directory || directory === '/' || path.startsWith(`${directory}/`);
}

/** What lies in `path` below `directory`: empty for itself. */
export function below(path: string, directory: string): string {
  if (!isWithin(path, directory)) throw new AppError('BUG', `${path} does not lie in ${directory}`);
  return path.slice(directory === '/' ? 1 : directory.length + 1);
}

/** Where `path` is in the snapshot `name` of `root`. */
export function inSnapshot(path: string, root: string, name: string): string {
  const rest = below(path, root);
  return `${join(root, '.snapshot')}/${name}${rest === '' ? '' : `/${rest}`}`;
}
