/** Names that have broken clients of WebHDFS. */
export const ODD_NAMES = [
  'with space',
  ' leading and trailing ',
  'per%25cent%2F100%',
  'plus+plus',
  'hash#1',
  'q?x=1&y=2',
  'semi;x=1',
  'co,mma',
  `quo"te'`,
  'back\\slash',
  '[a]{b}*',
  'ünï\u0301',
  '😀',
  'tab\tnewline\n',
  '€'.repeat(85),
  'z'.repeat(255),
] as const;
