// BullMQ for Node, on the command line of harness.py.
import { randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import { parseArgs } from 'node:util';

const require = createRequire(new URL('../../interop/node/peer.mjs', import.meta.url));
const { Queue, Worker } = require('bullmq');

const WARM = 'warm';
const BULK = 1000;
const text = { type: 'string' };
const flag = { type: 'boolean' };
const { values: asked, positionals: [command] } = parseArgs({
  allowPositionals: true,
  options: { count: text, bulk: flag, warm: flag, due: text, gap: text, io: text, concurrency: text, patience: text },
});
const name = process.env.BENCH_QUEUE ?? 'bench';
const address = new URL(process.env.BENCH_REDIS_URL ?? 'redis://127.0.0.1:6379/0');
const connection = { host: address.hostname, port: Number(address.port), maxRetriesPerRequest: null };
const count = Number(asked.count ?? 1);
const due = asked.due && Number(asked.due);
const clock = () => (performance.timeOrigin + performance.now()) / 1000;
const sleep = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const payload = (id = randomUUID()) => ({ schedule_id: id, due_at: new Date((due || clock()) * 1000).toISOString() });
const options = () => (due ? { delay: Math.max(0, Math.floor((due - clock()) * 1000)) } : {});

async function opened() {
  const queue = new Queue(name, { connection });
  await queue.waitUntilReady();
  return queue;
}

async function add() {
  const queue = await opened();
  const jobs = asked.warm ? [payload(WARM)] : Array.from({ length: count }, () => payload());
  const began = performance.now();
  if (asked.bulk) {
    for (let first = 0; first < jobs.length; first += BULK) {
      const opts = options();
      await queue.addBulk(jobs.slice(first, first + BULK).map((data) => ({ name: 'noop', data, opts })));
    }
  } else {
    for (const job of jobs) await queue.add('noop', job, options());
  }
  const seconds = (performance.now() - began) / 1000;
  await queue.close();
  say({ seconds });
}

async function probe() {
  const queue = await opened();
  await sleep(1); // the worker is to be idle again after the warm-up
  const added = {};
  const began = performance.now();
  for (let place = 0; place < count; place++) {
    const wait = began / 1000 + place * Number(asked.gap) - performance.now() / 1000;
    if (wait > 0) await sleep(wait);
    const job = payload();
    added[job.schedule_id] = clock();
    await queue.add('noop', job);
  }
  await queue.close();
  say({ added });
}

function work() {
  const io = Number(asked.io ?? 0);
  const ids = [];
  const starts = [];
  let ends = 0;
  let cpuBefore;
  const report = () => {
    const { user, system } = process.cpuUsage(cpuBefore);
    say({ ids, starts, end: clock(), cpu: (user + system) / 1e6 });
  };
  const giveUp = setTimeout(report, Number(asked.patience ?? 90) * 1000);
  new Worker(name, async (job) => {
    const now = clock();
    if (job.data.schedule_id === WARM) return void say({ ready: true });
    cpuBefore ??= process.cpuUsage();
    ids.push(job.data.schedule_id);
    starts.push(now);
    if (io) await sleep(io);
    if (++ends === count) {
      clearTimeout(giveUp);
      report();
    }
  }, { connection, concurrency: Number(asked.concurrency ?? 1) });
}

await { add, probe, work }[command]();
