import {mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, expect, test} from 'vitest';
import {bundleAgent} from '../../../packaging/bundle.io.ts';

const lib = mkdtempSync(join(tmpdir(), 'mailherd-bundle-'));
afterEach(() => rmSync(lib, {recursive: true}));

function write(path: string, code: string): void {
  mkdirSync(join(lib, path, '..'), {recursive: true});
  writeFileSync(join(lib, path), code);
}

test('the agent goes in with what it uses of the modules, and without what no probe asks of imapflow', async () => {
  write('package.json', '{"type": "module"}');
  const begin = `import {createRequire} from 'node:module';\nconst require = createRequire(import.meta.url);\n`;
  write('agent/main.io.js', `${begin}export const {subject, ways} = require('imapflow');\n`);
  write('agent/mover/main.io.js', `import {shared} from '../shared.js';\nexport const mover = shared;\n`);
  write('agent/shared.js', `export const shared = 'what both use';\n`);
  write(
    'node_modules/imapflow/index.js',
    `const [libmime, japanese, socks] = [require('libmime'), require('encoding-japanese'), require('socks')];
    exports.subject = libmime.decodeWords('a subject that nobody reads');
    exports.ways = Object.keys({...japanese, ...socks});`,
  );
  for (const name of ['libmime', 'encoding-japanese', 'socks']) write(`node_modules/${name}/index.js`, `exports.all = 'all of ${name}';`);
  await bundleAgent(lib);
  const agent = join(lib, 'agent');
  expect(await import(join(agent, 'main.io.js'))).toMatchObject({subject: 'a subject that nobody reads', ways: []});
  expect(await import(join(agent, 'mover.io.js'))).toMatchObject({mover: 'what both use'});
  const text = readdirSync(agent)
    .map(name => readFileSync(join(agent, name), 'utf8'))
    .join('\n');
  expect(text).toContain('exports.ways');
  expect(text).not.toContain('all of');
});
