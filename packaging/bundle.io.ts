import {mkdirSync, rmSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {type Plugin, rolldown} from 'rolldown';

/** How our code loads CommonJS where ES modules would cost more (`agent/probe/libraries.io.ts`): what it names goes into the bundle too. */
const OWN_REQUIRE = /^const require = createRequire\(import\.meta\.url\);$/m;
const ownRequire: Plugin = {
  name: 'own require',
  transform: code => (OWN_REQUIRE.test(code) ? code.replace(OWN_REQUIRE, '') : null),
};

/**
 * Of imapflow's own modules what no probe asks for, though it would take 4 MB of every agent: proxies, and text in all the character sets
 * of the world. One function of them is called, for the subject of a probe's message, which nobody reads.
 */
const LEFT_OUT: ReadonlyMap<string, string> = new Map([
  ['libmime', 'exports.decodeWords = text => text;'],
  ['encoding-japanese', 'module.exports = {};'],
  ['socks', 'module.exports = {};'],
]);
const leftOut: Plugin = {
  name: 'left out',
  resolveId: name => (LEFT_OUT.has(name) ? `\0${name}` : null),
  load: id => LEFT_OUT.get(id.slice(1)) ?? null,
};

/**
 * The agent as it runs: of its own code and of the modules what it uses, in a few files without comments and blanks, in the place of what
 * was compiled. The runtime keeps in memory the text of all that it loads, and a record of each file. Names stay, for stack traces.
 * @param lib folder of compiled code and modules; of `agent/` the entries of agent and mover remain, and the parts that they share or load later.
 * @returns how many files. @throws Error when something cannot be found, or written in one byte a letter.
 */
export async function bundleAgent(lib: string): Promise<number> {
  const bundle = await rolldown({
    input: {'main.io': join(lib, 'agent/main.io.js'), 'mover.io': join(lib, 'agent/mover/main.io.js')},
    platform: 'node',
    cwd: lib,
    plugins: [ownRequire, leftOut],
  });
  const {output} = await bundle.generate({
    format: 'esm',
    chunkFileNames: '[name].js',
    minify: {compress: false, mangle: false, codegen: {removeWhitespace: true}},
  });
  await bundle.close();
  rmSync(join(lib, 'agent'), {recursive: true});
  mkdirSync(join(lib, 'agent'));
  for (const part of output) {
    if (part.type !== 'chunk') throw new Error(`the bundle has ${part.fileName}, which is no code`);
    writeFileSync(join(lib, 'agent', part.fileName), inLatin1(part.code));
  }
  return output.length;
}

/** One letter beyond Latin-1, and the runtime keeps the whole text with two bytes for each. */
function inLatin1(code: string): string {
  if (/\\[^\0-\xff]/.test(code)) throw new Error('a letter beyond Latin-1 is escaped already');
  return code.replace(/[^\0-\xff]/g, unit => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
