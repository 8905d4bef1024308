import {HostSampler, readStore} from '../native/binding.ts';
import {type Benchmark, rounded, wholeNumber} from './benchmark.ts';
import {startExporter} from './exporter.io.ts';
import {cpuMsOf} from './processes.io.ts';

const WARM_UP = 50;

/** CPU of this process, all threads, in ms. */
function ownCpuMs(): number {
  const {user, system} = process.cpuUsage();
  return (user + system) / 1000;
}

export const benchmark: Benchmark = {
  summary: 'CPU of one full host sample against one scrape of prometheus-node-exporter, both in turn on this machine',
  options: {
    rounds: {type: 'string', default: '200', help: 'scrapes; ten samples are taken for each'},
  },
  async run(options, say) {
    const rounds = wholeNumber(options.rounds, 'rounds', 10, 100_000);
    const exporter = await startExporter();
    try {
      const {disk} = await readStore('/');
      const sampler = new HostSampler();
      for (let round = 0; round < WARM_UP; round++) await sampler.sample(disk);
      const {values} = await sampler.sample(disk);
      const series = await scrape(exporter.url);
      say(`${values.size} values against ${series} series, ${rounds} rounds`);
      let sampleMs = 0;
      let samples = 0;
      const exporterBefore = cpuMsOf(exporter.pid);
      for (let round = 0; round < rounds; round++) {
        const before = ownCpuMs();
        for (let repeat = 0; repeat < 10; repeat++) await sampler.sample(disk);
        sampleMs += ownCpuMs() - before;
        samples += 10;
        // Outside of what is charged to us: the client's side of a scrape would be Prometheus's.
        await scrape(exporter.url);
      }
      const exporterAfter = cpuMsOf(exporter.pid);
      if (exporterBefore === null || exporterAfter === null) throw new Error('node exporter ended during the run');
      const cpuMs = sampleMs / samples;
      const nodeExporterCpuMs = (exporterAfter - exporterBefore) / rounds;
      return {
        cpuMs: rounded(cpuMs),
        nodeExporterCpuMs: rounded(nodeExporterCpuMs),
        ratio: rounded(nodeExporterCpuMs / cpuMs),
        values: values.size,
      };
    } finally {
      exporter.stop();
    }
  },
};

/** One scrape; returns the number of series. */
async function scrape(url: string): Promise<number> {
  const response = await fetch(url);
  const text = await response.text();
  if (!response.ok) throw new Error(`node exporter answered ${response.status}`);
  return text.split('\n').filter(line => line !== '' && !line.startsWith('#')).length;
}
