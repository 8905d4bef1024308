import {get} from 'node:http';
import {StoreReader} from '../native/binding.ts';
import {type KernelPart, KernelReader, type KernelValues, ListenReader, PortReader} from '../native/kernel.ts';
import {type Benchmark, rounded, wholeNumber} from './benchmark.ts';
import {startExporter} from './exporter.io.ts';
import {cpuMsOf} from './processes.io.ts';

const WARM_UP = 51;
/** For each scrape; all turns equally often. */
const SAMPLES = 12;
/** As `agent/sample/turns.ts` has it. */
const TCP_EVERY = 3;

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
    try {
      const store = new StoreReader('/');
      const {disk, device, type} = await store.read();
      const ofFileSystem: KernelPart[] = type === 'ext4' || type === 'xfs' ? [{set: type, subject: device}] : [];
      const kernel = new KernelReader([{set: 'host', subject: disk}, ...ofFileSystem]);
      const listeners = new ListenReader();
      const tcp = new KernelReader([{set: 'tcp', subject: null}]);
      /** What an agent reads in every interval, begun at once as an agent does it; TCP's counters have every third turn. */
      const sample = (turn: number) =>
        Promise.all([store.read(), kernel.read(), listeners.read(), turn % TCP_EVERY === 0 ? tcp.read() : {parts: []}]);
      for (let round = 0; round < WARM_UP; round++) await sample(round);
      const values = countOf(await sample(0));
      const series = await scrape(exporter.url);
      say(`${values} values against ${series} series, ${rounds} rounds`);
      let sampleMs = 0;
      let samples = 0;
      const exporterBefore = cpuMsOf(exporter.pid);
      for (let round = 0; round < rounds; round++) {
        const before = ownCpuMs();
        for (let repeat = 0; repeat < SAMPLES; repeat++) await sample(repeat);
        sampleMs += ownCpuMs() - before;
        samples += SAMPLES;
        // Outside of what is charged to us: the client's side of a scrape would be Prometheus's, and so would be what it leaves behind.
        await drain(exporter.url);
      }
      const exporterAfter = cpuMsOf(exporter.pid);
      if (exporterBefore === null || exporterAfter === null) throw new Error('node exporter ended during the run');
      const cpuMs = sampleMs / samples;
      const nodeExporterCpuMs = (exporterAfter - exporterBefore) / rounds;
      return {
        cpuMs: rounded(cpuMs),
        nodeExporterCpuMs: rounded(nodeExporterCpuMs),
        ratio: rounded(nodeExporterCpuMs / cpuMs),
        turnsCpuMs: rounded(await turnsCpuMs(disk)),
        values,
      };
    } finally {
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

/** One scrape whose text is thrown away as it comes. */
function drain(url: string): Promise<void> {
  return new Promise((resolve, reject) => {
    get(url, response => response.resume().once('end', resolve).once('error', reject)).once('error', reject);
  });
}

/** One scrape; returns the number of series. */
async function scrape(url: string): Promise<number> {
  const response = await fetch(url);
  const text = await response.text();
  if (!response.ok) throw new Error(`node exporter answered ${response.status}`);
  return text.split('\n').filter(line => line !== '' && !line.startsWith('#')).length;
}
