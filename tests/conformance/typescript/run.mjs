// Runs a list of calls through the official SDK, unmodified, many at once, and says how each went.
//
// In, on stdin: {"packages": PATH, "within_s": N, "at_once": N, "cases": [Case]}. `packages` is a
// file next to the node_modules that hold the SDK. Out, on stdout: {"went": {id: Went},
// "unhandled": [text]}. sdk.py has both shapes.
import { createRequire } from 'node:module';
import { text } from 'node:stream/consumers';
import { setTimeout } from 'node:timers/promises';

const BUSY_MS = 20;

const asked = JSON.parse(await text(process.stdin));
const { default: Anthropic } = createRequire(asked.packages)('@anthropic-ai/sdk');

// The ways in which programs ask. Each returns what it got, or raises.
const WAYS = {
  async helper(messages, fields, options) {
    return { message: await messages.stream(fields, options).finalMessage() };
  },
  async loop(messages, fields, options) {
    return eventsOf(messages.stream(fields, options));
  },
  async raw(messages, fields, options) {
    return eventsOf(await messages.create({ ...fields, stream: true }, options));
  },
  // A reader that does something slow between two events, as a relay with backpressure does.
  async busy_raw(messages, fields, options) {
    return eventsOf(await messages.create({ ...fields, stream: true }, options), BUSY_MS);
  },
  async busy_loop(messages, fields, options) {
    return eventsOf(messages.stream(fields, options), BUSY_MS);
  },
  async busy_loop_then_final(messages, fields, options) {
    const stream = messages.stream(fields, options);
    await eventsOf(stream, BUSY_MS);
    return { message: await stream.finalMessage() };
  },
  async create(messages, fields, options) {
    return { message: await messages.create(fields, options) };
  },
};

async function eventsOf(stream, busy_ms = 0) {
  const events = [];
  for await (const event of stream) {
    events.push(event);
    if (busy_ms) await setTimeout(busy_ms);
  }
  return { events };
}

async function go(one) {
  const client = new Anthropic({ baseURL: one.url, apiKey: 'k', ...one.options });
  const messages = one.beta ? client.beta.messages : client.messages;
  const fields = {
    model: `sim:${one.spec}`,
    max_tokens: 64,
    messages: [{ role: 'user', content: 'Why is the ocean salty?' }],
  };
  const patience = new AbortController();
  const timer = globalThis.setTimeout(() => patience.abort(), asked.within_s * 1000);
  const began = performance.now();
  const went = await settled(WAYS[one.way](messages, fields, { signal: patience.signal }), one);
  clearTimeout(timer);
  // An aborted loop returns as if it had ended: what tells is that we gave up.
  if (patience.signal.aborted) went.outcome = 'hung';
  return { ...went, took_s: (performance.now() - began) / 1000 };
}

async function settled(promise, one) {
  try {
    const got = await promise;
    return { outcome: 'complete', ...(one.keep ? got : {}) };
  } catch (error) {
    return { outcome: 'raised', error: plain(error) };
  }
}

function plain(error) {
  return {
    name: error?.constructor?.name,
    status: error?.status ?? null,
    type: error?.type ?? null,
    reason: error?.error?.finalstop?.reason ?? null,
    message: String(error?.message ?? error).slice(0, 1000),
  };
}

const unhandled = [];
process.on('unhandledRejection', (why) => unhandled.push(String(why?.stack ?? why)));

const waiting = asked.cases.entries();
const went = {};
async function worker() {
  for (const [, one] of waiting) went[one.id] = await go(one);
}
await Promise.all(Array.from({ length: asked.at_once }, worker));
process.stdout.write(JSON.stringify({ went, unhandled }), () => process.exit(0));
