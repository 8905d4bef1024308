import {spawn} from 'node:child_process';
import {MailherdError} from '../base/errors.ts';

export interface RunResult {
  code: number;
  stdout: string;
  stderr: string;
}

interface RunOptions {
  input?: string;
  env?: NodeJS.ProcessEnv;
  /** Ends the command with SIGKILL after this many milliseconds. */
  timeoutMs?: number;
  signal?: AbortSignal;
}

/** Runs a command to its end and gives what it wrote; never throws for its exit code. @throws MailherdError COMMAND_FAILED when it cannot start. */
export function tryRun(command: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const [program = '', ...args] = command;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: options.env ?? process.env,
      ...(options.signal === undefined ? {} : {signal: options.signal, killSignal: 'SIGTERM' as const}),
    });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    const timer = options.timeoutMs === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), options.timeoutMs);
    child.stdout.on('data', chunk => out.push(chunk));
    child.stderr.on('data', chunk => err.push(chunk));
    // A command that ends without reading its input is judged by its exit code, not by our broken pipe.
    child.stdin.on('error', error => err.push(Buffer.from(`(input: ${error.message})`)));
    child.on('error', cause => {
      clearTimeout(timer);
      reject(new MailherdError('COMMAND_FAILED', {command: command.join(' '), reason: cause.message}, {cause}));
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      const stderr = Buffer.concat(err).toString() + (signal === null ? '' : `(ended by ${signal})`);
      resolve({code: code ?? 128, stdout: Buffer.concat(out).toString(), stderr});
    });
    child.stdin.end(options.input ?? '');
  });
}

/** Like tryRun, but a non-zero exit code is an error. @returns what it wrote to stdout. @throws MailherdError COMMAND_FAILED. */
export async function run(command: readonly string[], options: RunOptions = {}): Promise<string> {
  const {code, stdout, stderr} = await tryRun(command, options);
  if (code !== 0) {
    const reason = stderr.trim().slice(-600) || stdout.trim().slice(-600);
    throw new MailherdError('COMMAND_FAILED', {command: command.join(' ').slice(0, 300), exitCode: code, reason});
  }
  return stdout;
}
