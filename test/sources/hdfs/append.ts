/** Changes to a file that the product has no use for: by curl. */
import { execa } from 'execa';

export async function append(address: string, path: string, text: string): Promise<void> {
  const { stdout } = await execa('curl', ['-sSf', '-X', 'POST', url(address, path, 'APPEND', 'noredirect=true')]);
  const { Location: location } = JSON.parse(stdout) as { Location: string };
  await execa('curl', ['-sSf', '-X', 'POST', '--data-binary', text, new URL(location).href]);
}

/** To the end of a block, or to nothing: anything else is done later, by the DataNode. */
export async function truncate(address: string, path: string, length: number): Promise<void> {
  const { stdout } = await execa('curl', ['-sSf', '-X', 'POST', url(address, path, 'TRUNCATE', `newlength=${length}`)]);
  if (stdout !== '{"boolean":true}') throw new Error(`${path} is not truncated at once: ${stdout}`);
}

function url(address: string, path: string, op: string, more: string): string {
  const encoded = path.split('/').map(encodeURIComponent).join('/');
  return `http://${address}/webhdfs/v1${encoded}?op=${op}&user.name=root&${more}`;
}
