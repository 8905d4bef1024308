import {readdirSync, readFileSync} from 'node:fs';
import {basename, dirname, join, relative} from 'node:path';
import {describe, expect, test} from 'vitest';

const ROOT = join(import.meta.dirname, '..');
const FOLDERS = ['base', 'wire', 'native', 'agent', 'coordinator', 'cli', 'farm', 'packaging', 'bench', 'test'];
/** What a folder may import of ours, beside itself. */
const MAY_IMPORT: Record<string, string[]> = {
  base: [],
  wire: ['base'],
  native: ['base'],
  agent: ['base', 'wire', 'native'],
  coordinator: ['base', 'wire', 'native'],
  cli: ['base', 'wire'],
  farm: ['base', 'wire'],
  packaging: ['base', 'wire'],
  bench: ['base', 'wire', 'native', 'coordinator', 'farm', 'test'],
};
/** The command starts agent and coordinator, and nothing else of theirs is imported; both by dynamic import. */
const ENTRY = 'cli/main.io.ts';
const PURE = ['base', 'wire', 'native', 'agent', 'coordinator', 'cli'];
/** The one loader of the addon carries no suffix: it is the seam itself. */
const IMPURE_BY_DESIGN = new Set(['native/binding.ts']);
const mayLoad = (path: string): boolean => IMPURE_BY_DESIGN.has(path) || path.startsWith('test/');
const BANNED = /\bDate\.now\(|\bnew Date\(\)|\bMath\.random\(|\bsetTimeout\(|\bsetInterval\(|\bsetImmediate\(|\bconsole\.|\bprocess\./;
const LINES_MAX = 400;
const FUNCTION_LINES_MAX = 60;
/** Says where this was written, not what it is; split so that this file does not name it. */
const FOREIGN = new RegExp(['/wo' + 'rk/', 'field-' + 'notes', 'shared/' + 'design'].join('|'));

/** Made by tools, not kept. */
const NOT_OURS = new Set(['.git', 'node_modules', 'dist', 'build', 'out', 'coverage']);

interface Source {
  path: string;
  text: string;
  /** Without comments. */
  bare: string;
  /** Without comments and without what stands in strings. */
  code: string;
}

const COMMENT = /\/\*[\s\S]*?\*\/|\/\/[^\n]*/y;
const QUOTED = /'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"/y;
/** A slash begins one only where a value may begin. */
const PATTERN = /(?<=(?:[(,=:[!&|?{};>]|\breturn)\s*)\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])+\/[a-z]*/y;
const TEMPLATE_PART = /(?:\\[\s\S]|\$(?!\{)|[^\\`$])*(?:`|\$\{)/y;

/** Takes comments away, and with `strings` also what stands in strings, patterns and the fixed parts of templates. */
function strip(text: string, strings: boolean): string {
  let out = '';
  let at = 0;
  /** Braces that are open in each `${` around here. */
  const open: number[] = [];
  const token = (pattern: RegExp): string | null => {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0] ?? null;
    if (found !== null) at += found.length;
    return found;
  };
  while (at < text.length) {
    if (token(COMMENT) !== null) continue;
    const literal = token(QUOTED) ?? token(PATTERN);
    if (literal !== null) {
      out += strings ? "''" : literal;
      continue;
    }
    const next = text[at++] ?? '';
    const top = open.length - 1;
    if (next === '{' && top >= 0) open[top] = (open[top] ?? 0) + 1;
    const resumes = next === '}' && open[top] === 0;
    if (next === '}' && top >= 0 && !resumes) open[top] = (open[top] ?? 0) - 1;
    out += next;
    if (next !== '`' && !resumes) continue;
    if (resumes) open.pop();
    const part = token(TEMPLATE_PART) ?? '';
    if (part.endsWith('${')) open.push(0);
    out += strings ? part.slice(part.endsWith('${') ? -2 : -1) : part;
  }
  return out;
}

function sources(folder: string): Source[] {
  return readdirSync(join(ROOT, folder), {recursive: true, withFileTypes: true})
    .filter(entry => entry.isFile() && entry.name.endsWith('.ts') && !entry.parentPath.includes('node_modules'))
    .map(entry => {
      const file = join(entry.parentPath, entry.name);
      const text = readFileSync(file, 'utf8');
      return {path: relative(ROOT, file), text, bare: strip(text, false), code: strip(text, true)};
    });
}

const ALL = FOLDERS.flatMap(sources);
const folderOf = (path: string): string => path.split('/')[0] ?? '';

const IMPORT = /^(?:import|export)\s+(type\s)?[^'"]*?from\s+'([^']+)'|^(import)\s+'([^']+)'|\bimport\(\s*'([^']+)'/gm;

function imports({path, bare}: {path: string; bare: string}): {to: string; isType: boolean}[] {
  return [...bare.matchAll(IMPORT)].map(match => {
    const name = match[2] ?? match[4] ?? match[5] ?? '';
    return {to: name.startsWith('.') ? relative(ROOT, join(ROOT, dirname(path), name)) : name, isType: match[1] !== undefined};
  });
}

const FUNCTION = /\bfunction\b.*[({]$|=> \{$|^\s+(?:(?:static|async|override|get|set)\s+)*#?\w+(?:<[^>]*>)?\((?:.*\).*\{)?$/;
const STATEMENT = /^\s*(?:if|for|while|switch|catch|return|else|try|do|import)\b(?!.*=> \{$)/;

/** Line and length of every function. Relies on the formatter: a block ends at its own indentation. */
function functions(text: string): {line: number; length: number}[] {
  const lines = text.split('\n');
  return lines.flatMap((first, at) => {
    if (!FUNCTION.test(first) || STATEMENT.test(first)) return [];
    const indent = first.length - first.trimStart().length;
    for (let to = at + 1; to < lines.length; to++) {
      const next = lines[to] ?? '';
      if (next.trim() === '' || next.length - next.trimStart().length > indent) continue;
      // A signature over several lines goes on; a call does not.
      if (next.trimStart().startsWith(')') && next.endsWith('{')) continue;
      return next.trimStart().startsWith('}') ? [{line: at + 1, length: to - at + 1}] : [];
    }
    return [];
  });
}

describe('the project keeps its own rules', () => {
  test('imports run one way', () => {
    const wrong = ALL.filter(({path}) => folderOf(path) in MAY_IMPORT && path !== ENTRY).flatMap(source =>
      imports(source)
        .filter(({to}) => FOLDERS.includes(folderOf(to)) && to.includes('/'))
        .filter(({to}) => folderOf(to) !== folderOf(source.path) && !(MAY_IMPORT[folderOf(source.path)] ?? []).includes(folderOf(to)))
        .map(({to}) => `${source.path} imports ${to}`),
    );
    expect(wrong).toEqual([]);
  });

  test('only *.io.ts touch the world', () => {
    const wrong = ALL.filter(({path}) => PURE.includes(folderOf(path)) && !path.endsWith('.io.ts') && !IMPURE_BY_DESIGN.has(path)).flatMap(
      source => {
        const found = imports(source)
          .filter(({to, isType}) => !isType && (to.startsWith('node:') || to.endsWith('.io.ts')))
          .map(({to}) => `${source.path} imports ${to}`);
        const call = BANNED.exec(source.code);
        return call === null ? found : [...found, `${source.path} uses ${call[0]}`];
      },
    );
    expect(wrong).toEqual([]);
  });

  test('no default export, no catch-all file, no empty catch', () => {
    const wrong = ALL.flatMap(({path, bare, code, text}) => [
      ...(/^export default/m.test(code) ? [`${path}: default export`] : []),
      ...(/^export\s[^;()=]*?\sfrom ''/m.test(code) ? [`${path}: passes on what another file exports`] : []),
      ...(/\bcreateRequire\b|\bdlopen\b/.test(code) && /\.node['`]/.test(bare) && !mayLoad(path) ? [`${path}: loads native code`] : []),
      ...(/^(utils?|helpers?|common|types|manager|index)\./.test(basename(path)) ? [`${path}: says nothing about its job`] : []),
      ...(/catch\s*(\([^)]*\))?\s*\{\s*\}/.test(text) ? [`${path}: empty catch`] : []),
    ]);
    expect(wrong).toEqual([]);
  });

  test(`no file is longer than ${LINES_MAX} lines`, () => {
    expect(ALL.filter(({text}) => text.split('\n').length > LINES_MAX).map(({path}) => path)).toEqual([]);
  });

  test(`no function is longer than ${FUNCTION_LINES_MAX} lines`, () => {
    const long = ALL.filter(({path}) => folderOf(path) !== 'test').flatMap(({path, text}) =>
      functions(text)
        .filter(({length}) => length > FUNCTION_LINES_MAX)
        .map(({line, length}) => `${path}:${line} has ${length}`),
    );
    expect(long).toEqual([]);
  });

  test('functions are seen', () => {
    const lengths = (...lines: string[]): number[] => functions(lines.join('\n')).map(({length}) => length);
    expect(lengths('async function f(', '  a: number,', '): Promise<void> {', '  g(a);', '}')).toEqual([5]);
    expect(lengths('class A {', '  async #f(a: number): Promise<void> {', '    if (a) {', '    }', '  }', '}')).toEqual([4]);
    expect(lengths('class A {', '  f(', '    a: number,', '  ): void {', '', '  }', '}')).toEqual([5]);
    expect(lengths('const f = (): void => {', '  g();', '};')).toEqual([3]);
    expect(lengths('const a = Type.Object({', '  b: 1,', '});', 'g(', '  1,', ');')).toEqual([]);
  });

  test('text is told from code', () => {
    const samples: [string, string][] = [
      ['f(); // console.log', 'f(); '],
      ["f('/*'); Date.now(); g('*/')", "f(''); Date.now(); g('')"],
      ['a = /[/\'"`]/.test(b); c = d / e; // f', "a = ''.test(b); c = d / e; "],
      // biome-ignore lint/suspicious/noTemplateCurlyInString: it is source text
      ['`x ${a({b: `${c} y`})} /* z */`; d', '`${a({b: `${c}`})}`; d'],
    ];
    expect(samples.map(([text]) => strip(text, true))).toEqual(samples.map(([, code]) => code));
    const parts = imports({
      path: 'wire/a.ts',
      bare: "import 'x';\nimport type {\n  A,\n} from '../base/b.ts';\nawait import('./c.io.ts');\n",
    });
    expect(parts).toEqual([
      {to: 'x', isType: false},
      {to: 'base/b.ts', isType: true},
      {to: 'wire/c.io.ts', isType: false},
    ]);
    // A string that is taken for code, or the other way round, leaves a bracket alone.
    const balance = (code: string): number[] =>
      ['{}', '()', '[]'].map(pair => code.split(pair[0] ?? '').length - code.split(pair[1] ?? '').length);
    expect(ALL.filter(({code}) => balance(code).some(left => left !== 0)).map(({path}) => path)).toEqual([]);
  });

  test('nothing names where it was written', () => {
    const named = readdirSync(ROOT, {withFileTypes: true})
      .filter(({name}) => !NOT_OURS.has(name))
      .flatMap(entry => (entry.isDirectory() ? readdirSync(join(ROOT, entry.name), {recursive: true, withFileTypes: true}) : [entry]))
      .filter(entry => entry.isFile())
      .map(entry => join(entry.parentPath, entry.name))
      .filter(file => FOREIGN.test(readFileSync(file, 'latin1')));
    expect(named.map(file => relative(ROOT, file))).toEqual([]);
  });

  test('the documents name only what is there', () => {
    const present = new Set(
      readdirSync(ROOT, {recursive: true})
        .map(String)
        .filter(name => !name.startsWith('node_modules')),
    );
    const missing = ['docs/ARCHITECTURE.md', 'docs/MOVE.md', 'README.md'].flatMap(document =>
      [...readFileSync(join(ROOT, document), 'utf8').matchAll(/`([a-z][\w.-]*\/[\w./-]*|setup\.mjs)`/g)]
        .map(match => (match[1] ?? '').replace(/\/$/, ''))
        .filter(name => !present.has(name))
        .map(name => `${document} names ${name}`),
    );
    expect(missing).toEqual([]);
  });
});
