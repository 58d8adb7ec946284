// BullMQ under remote control: one JSON request a line on stdin, one JSON answer a line on stdout, and what its objects
// emit in between. Objects live under names that the requests give them.
//
//   {"id": 1, "make": "Queue", "as": "q", "args": ["paint", {…}]}       -> {"id": 1, "value": null}
//   {"id": 2, "on": "q", "call": "add", "args": ["paint", {}], "as": "job"} -> {"id": 2, "value": {…the job…}}
//   {"id": 4, "spans": true}                                            -> the ended spans of objects made with
//                                                                          `telemetry: true` in their options
//   {"id": 3, "drop": "q"}                                              -> closes it and forgets the name
//   an error                                                            -> {"id": 2, "error": {"name": …, "message": …}}
//   something emitted                                                   -> {"from": "w", "event": "completed", "args": […]}
//
// A worker's processor does what the job's data says: see `act`.
import { createInterface } from 'node:readline';

import { DelayedError, FlowProducer, Job, Queue, QueueEvents, QueueEventsProducer, UnrecoverableError, WaitingError, Worker } from 'bullmq';

const [host, port] = (process.argv[2] ?? '127.0.0.1:6379').split(':');
const connection = { host, port: Number(port), maxRetriesPerRequest: null };
const named = new Map();
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const held = new Set();

const EMITTED = {
  Worker: ['active', 'completed', 'failed', 'progress', 'stalled', 'drained', 'error', 'ready', 'paused', 'resumed',
    'lockRenewalFailed', 'closed'],
  QueueEvents: ['added', 'waiting', 'active', 'completed', 'failed', 'delayed', 'progress', 'stalled', 'drained',
    'removed', 'cleaned', 'paused', 'resumed', 'duplicated', 'retries-exhausted', 'waiting-children', 'error', 'painted'],
};
const MAKERS = {
  Queue: (name, options = {}) => new Queue(name, { connection, ...options }),
  // From the queue's first event on: it starts to read after it is made, and nobody is told when.
  QueueEvents: (name, options = {}) => new QueueEvents(name, { connection, lastEventId: '0', ...options }),
  QueueEventsProducer: (name, options = {}) => new QueueEventsProducer(name, { connection, ...options }),
  FlowProducer: (options = {}) => new FlowProducer({ connection, ...options }),
  // `processor: false` makes a worker to be driven by hand (getNextJob, moveToCompleted…).
  Worker: (name, { processor = true, ...options } = {}) =>
    new Worker(name, processor ? act : undefined, { connection, autorun: processor, ...options }),
};

// What a job does is in its data: `{"acts": [first attempt, second attempt, …]}`, the last one repeated; an attempt is
// any of log, progress, data (of the next attempt), waitMs, hold (until the peer is told "release"), limitMs (the first time; by the worker `w`), handBack (the first time), laterMs (the first time), throw, unrecoverable, return.
async function act(job, token) {
  const acts = job.data?.acts ?? [{}];
  const now = acts[Math.min(job.attemptsMade, acts.length - 1)];
  say({ from: 'act', event: 'run', args: [job.id, job.name, job.attemptsMade + 1] });
  for (const row of now.log ?? []) await job.log(row);
  if ('progress' in now) await job.updateProgress(now.progress);
  if ('data' in now) await job.updateData(now.data);
  if (now.waitMs) await sleep(now.waitMs);
  if (now.hold) await new Promise((done) => held.add(done));
  if (now.limitMs && job.attemptsStarted === 1) {
    await named.get('w').rateLimit(now.limitMs);
    throw Worker.RateLimitError();
  }
  if (now.handBack && job.attemptsStarted === 1) {
    await job.moveToWait(token);
    throw new WaitingError();
  }
  if (now.laterMs && job.attemptsStarted === 1) {
    await job.moveToDelayed(Date.now() + now.laterMs, token);
    throw new DelayedError();
  }
  if ('unrecoverable' in now) throw new UnrecoverableError(now.unrecoverable);
  if ('throw' in now) throw new Error(now.throw);
  return now.return;
}

function plain(value) {
  if (value instanceof Job) {
    const { id, name, data, opts, progress, returnvalue, failedReason, stacktrace, attemptsMade, attemptsStarted,
      stalledCounter, delay, priority, timestamp, processedOn, finishedOn, parentKey, repeatJobKey, processedBy, token } = value;
    return { id, name, data, opts, progress, returnvalue, failedReason, stacktrace, attemptsMade, attemptsStarted,
      stalledCounter, delay, priority, timestamp, processedOn, finishedOn, parentKey, repeatJobKey, processedBy, token };
  }
  if (value instanceof Error) return { name: value.name, message: value.message, code: value.code };
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof Set || value instanceof Map) return [...value];
  if (value && typeof value === 'object' && value.job instanceof Job) return { job: plain(value.job), children: plain(value.children ?? []) };
  return value ?? null;
}

// What JSON cannot say.
function meant(arg) {
  if (arg?.$undefined) return undefined;
  if (arg?.$named) return named.get(arg.$named);
  if (arg?.$throw) return new Error(arg.$throw);
  if (arg?.$unrecoverable) return new UnrecoverableError(arg.$unrecoverable);
  return arg;
}

function listen(name, kind, object) {
  for (const event of EMITTED[kind] ?? [])
    object.on(event, (...args) => say({ from: name, event, args: args.map(plain) }));
}

// Loaded when it is asked for: hardly any test traces.
const tracing = () => import('./telemetry.mjs');
// `slotMs: n` is a repeat strategy, which JSON cannot say: the next multiple of n ms, whatever the pattern.
const strategy = (slotMs) => async (millis) => millis - (millis % slotMs) + slotMs;
const equipped = async (arg) => ({
  ...arg,
  ...(arg.telemetry === true && { telemetry: (await tracing()).telemetry() }),
  ...(arg.slotMs && { settings: { repeatStrategy: strategy(arg.slotMs) } }),
});

async function answer(request) {
  if (request.spans) return (await tracing()).spans();
  if (request.make) {
    const args = (request.args ?? []).map((arg) => (arg && typeof arg === 'object' ? equipped(arg) : arg));
    const object = MAKERS[request.make](...(await Promise.all(args)));
    named.set(request.as, object);
    listen(request.as, request.make, object);
    await object.waitUntilReady?.();
    return null;
  }
  if (request.release) {
    for (const done of held) done();
    held.clear();
    return null;
  }
  if (request.drop) {
    await named.get(request.drop).close(...(request.args ?? []));
    named.delete(request.drop);
    return null;
  }
  const object = named.get(request.on);
  const args = (request.args ?? []).map(meant);
  const value = await object[request.call](...args);
  if (request.as) named.set(request.as, value);
  return plain(value);
}

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  answer(request).then(
    (value) => say({ id: request.id, value }),
    (error) => say({ id: request.id, error: { name: error.name, message: error.message } }),
  );
}
process.exit(0);
