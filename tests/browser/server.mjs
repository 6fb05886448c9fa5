// A real server on free ports, in a directory of its own.
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const READY_MS_MAX = 60_000;

export async function startServer() {
  const binary = process.env.SPANLIGHT_BINARY;
  if (!binary) throw new Error('SPANLIGHT_BINARY names no server: run these tests with `cargo xtask browser`');
  const directory = await mkdtemp(join(tmpdir(), 'spanlight-browser-'));
  const dataDir = join(directory, 'data');
  const ports = ['http', 'receivers.otlp_http', 'receivers.otlp_grpc'];
  const child = spawn(
    binary,
    ['serve', '--data-dir', dataDir, ...ports.flatMap((name) => ['--set', `${name}=127.0.0.1:0`])],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let log = '';
  child.stdout.on('data', (text) => { log += text; });
  child.stderr.on('data', (text) => { log += text; });
  const ended = new Promise((resolve) => child.on('exit', resolve));

  const stop = async () => {
    child.kill('SIGTERM');
    await Promise.race([ended, sleep(20_000).then(() => child.kill('SIGKILL'))]);
    await rm(directory, { recursive: true, force: true });
  };
  try {
    const addresses = await ready(dataDir, child);
    return {
      page: `http://${addresses.http}`,
      otlp: `http://${addresses.otlp_http}`,
      log: () => log,
      stop,
      send: (resourceSpans) => send(`http://${addresses.otlp_http}`, resourceSpans),
    };
  } catch (error) {
    await stop();
    throw new Error(`the server did not start: ${error.message}\n${log}`);
  }
}

async function ready(dataDir, child) {
  let problem = new Error('nothing was tried');
  for (const end = Date.now() + READY_MS_MAX; Date.now() < end; await sleep(20)) {
    if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}`);
    try {
      const addresses = JSON.parse(await readFile(join(dataDir, 'addresses.json'), 'utf8'));
      const answer = await fetch(`http://${addresses.http}/readyz`);
      if (answer.ok) return addresses;
      problem = new Error(`/readyz says ${answer.status}`);
    } catch (error) {
      problem = error;
    }
  }
  throw problem;
}

async function send(otlp, resourceSpans) {
  const answer = await fetch(`${otlp}/v1/traces`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ resourceSpans }),
  });
  const text = await answer.text();
  if (!answer.ok || /rejectedSpans/.test(text)) throw new Error(`not accepted: ${answer.status} ${text}`);
}
