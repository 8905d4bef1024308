import {StoreReader} from '../native/binding.ts';
import {type KernelPart, KernelReader, type KernelValues, ListenReader, PortReader} from '../native/kernel.ts';
import {type Benchmark, rounded, wholeNumber} from './benchmark.ts';
import {startExporter, startScraper} from './exporter.io.ts';
import {cpuMsOf} from './processes.io.ts';

const WARM_UP = 51;
/** For each scrape; all turns equally often. */
const SAMPLES = 12;
/** As `agent/sample/turns.ts` has it. */
const SUMMED_EVERY = 3;

/** CPU of this process, all threads, in ms. */
function ownCpuMs(): number {
  const {user, system} = process.cpuUsage();
  return (user + system) / 1000;
}

export const benchmark: Benchmark = {
  summary: 'CPU of what an agent reads in every interval against one scrape of prometheus-node-exporter, both in turn on this machine',
  options: {
    rounds: {type: 'string', default: '200', help: 'scrapes; twelve samples are taken for each'},
  },
  async run(options, say) {
    const rounds = wholeNumber(options.rounds, 'rounds', 10, 100_000);
    const exporter = await startExporter();
    const scraper = startScraper(exporter.url);
    try {
      const store = new StoreReader('/');
      const {disk, device, type} = await store.read();
      const ofFileSystem: KernelPart[] = type === 'ext4' || type === 'xfs' ? [{set: type, subject: device}] : [];
      const kernel = new KernelReader([{set: 'host', subject: disk}, ...ofFileSystem]);
      const listeners = new ListenReader();
      const past: KernelPart[] = type === 'ext4' ? [{set: 'ext4Past', subject: device}] : [];
      const summed = new KernelReader([{set: 'summed', subject: null}, ...past]);
      /** What an agent reads in every interval, begun at once as an agent does it; what the kernel sums over its CPUs has every third turn. */
      const sample = (turn: number) =>
        Promise.all([store.read(), kernel.read(), listeners.read(), turn % SUMMED_EVERY === 0 ? summed.read() : {parts: []}]);
      for (let round = 0; round < WARM_UP; round++) await sample(round);
      const values = countOf(await sample(0));
      const series = await seriesOf(exporter.url);
      say(`${values} values against ${series} series, ${rounds} rounds`);
      let sampleMs = 0;
      let firstMs = 0;
      const exporterBefore = cpuMsOf(exporter.pid);
      for (let round = 0; round < rounds; round++) {
        const before = ownCpuMs();
        await sample(0);
        firstMs += ownCpuMs() - before;
        for (let repeat = 1; repeat < SAMPLES; repeat++) await sample(repeat);
        sampleMs += ownCpuMs() - before;
        await scraper.scrape();
      }
      const exporterAfter = cpuMsOf(exporter.pid);
      if (exporterBefore === null || exporterAfter === null) throw new Error('node exporter ended during the run');
      const cpuMs = sampleMs / (rounds * SAMPLES);
      const nodeExporterCpuMs = (exporterAfter - exporterBefore) / rounds;
      return {
        cpuMs: rounded(cpuMs),
        nodeExporterCpuMs: rounded(nodeExporterCpuMs),
        ratio: rounded(nodeExporterCpuMs / cpuMs),
        // Of the samples that come right after a scrape, when nothing of ours is in the processor's caches; all turns in each.
        firstCpuMs: rounded(firstMs / rounds),
        turnsCpuMs: rounded(await turnsCpuMs(disk)),
        values,
      };
    } finally {
      scraper.stop();
      exporter.stop();
    }
  },
};

type Sample = [unknown, {parts: KernelValues[]}, {tcp: unknown[]; unix: unknown[]}, {parts: KernelValues[]}];

function countOf([, host, {tcp, unix}, {parts}]: Sample): number {
  const known = [...host.parts, ...parts].flatMap(part => [...part.names()].filter(name => part.get(name) !== undefined));
  return 3 + 2 * (tcp.length + unix.length) + known.length;
}

/** CPU of what is read once a minute on any host: limits, ports in use, block queue. What is read of mail services is not in it. */
async function turnsCpuMs(disk: string | null): Promise<number> {
  const limits = new KernelReader([
    {set: 'limits', subject: null},
    {set: 'blockQueue', subject: disk},
  ]);
  const ports = new PortReader();
  const before = ownCpuMs();
  for (let round = 0; round < WARM_UP; round++) {
    await limits.read();
    await ports.read(32_768, 60_999, []);
  }
  return (ownCpuMs() - before) / WARM_UP;
}

/** Series in one scrape. */
async function seriesOf(url: string): Promise<number> {
  const response = await fetch(url);
  const text = await response.text();
  if (!response.ok) throw new Error(`node exporter answered ${response.status}`);
  return text.split('\n').filter(line => line !== '' && !line.startsWith('#')).length;
}
