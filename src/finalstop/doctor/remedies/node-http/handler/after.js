// A correct relay of a Claude stream to the browser, by hand. Whatever the upstream or the browser
// does, every response ends, once, in bounded time, and says how: {"event":"end"} after
// `message_stop` and only then, {"event":"error"} after any failure, and a true status as long as
// nothing has been sent.
import { once } from 'node:events';
import { createServer } from 'node:http';
import Anthropic from '@anthropic-ai/sdk';

const client = new Anthropic(); // ANTHROPIC_API_KEY and ANTHROPIC_BASE_URL, from the environment

// Only what the model says moves the timers: a ping shows that the connection lives, not that the
// answer comes. The SDK's own `timeout` covers no more than the wait for the response head.
const FIRST_CONTENT_MS = 1000 * Number(process.env.STREAM_FIRST_CONTENT_S ?? 120);
const IDLE_MS = 1000 * Number(process.env.STREAM_IDLE_S ?? 60);
const KEEP_ALIVE_MS = 15_000; // half of the shortest idle limit that proxies commonly have
const DRAIN_MS = 1000 * Number(process.env.STREAM_DRAIN_S ?? 20); // under Kubernetes' 30 s
const HEAD = { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache, no-transform' };
// What the status would have been, where the failure came as an event or not over HTTP at all.
const STATUS = {
  overloaded_error: 529,
  rate_limit_error: 429,
  first_content_timeout: 504,
  idle_timeout: 504,
  draining: 503,
};
const calls = new Set();

async function relay(res, open) {
  const call = new AbortController();
  const stop = (reason) => call.abort(Object.assign(new Error(reason), { type: reason }));
  const send = (frame) => res.write(`data: ${JSON.stringify(frame)}\n\n`);
  const keepAlive = setInterval(() => res.headersSent && res.write(': \n\n'), KEEP_ALIVE_MS);
  let timer = setTimeout(stop, FIRST_CONTENT_MS, 'first_content_timeout');
  res.on('close', () => stop('abandoned')); // also before the head: who has left pays no tokens
  calls.add(call);
  try {
    // No retries: a retry here is silence there, and the browser is better told the status.
    const events = await open({ signal: call.signal, maxRetries: 0 });
    let complete = false;
    for await (const event of events) {
      // The first event commits the status; from now on keep-alives go out.
      if (!res.headersSent) res.writeHead(200, HEAD).flushHeaders();
      if (event.type === 'message_stop') {
        complete = true;
        break; // the end of the answer; the end of the upstream's body may never come
      }
      clearTimeout(timer);
      timer = setTimeout(stop, IDLE_MS, 'idle_timeout');
      // Tool and thinking deltas have no text.
      if (event.type !== 'content_block_delta' || event.delta.type !== 'text_delta') continue;
      if (!send({ text: event.delta.text })) await once(res, 'drain', { signal: call.signal });
    }
    // The SDK's iterator ends without a word when the body is cut, and also when it is aborted.
    if (!complete) throw Object.assign(new Error('cut off'), { type: 'truncated' });
    send({ event: 'end' });
  } catch (error) {
    const { status, headers, type } = call.signal.aborted ? call.signal.reason : error;
    const reason = type ?? 'upstream_error';
    console.error(`stream failed: ${reason} ${error.message}`);
    if (!res.headersSent) {
      const wait = headers?.get('retry-after');
      if (wait) res.setHeader('Retry-After', wait);
      res.writeHead(status ?? STATUS[reason] ?? 502, { 'Content-Type': 'application/json' });
      res.write(JSON.stringify({ event: 'error', reason }));
    } else if (!res.destroyed) {
      send({ event: 'error', reason }); // an event of its own: text without a blank line is dropped
    }
  } finally {
    clearTimeout(timer);
    clearInterval(keepAlive);
    calls.delete(call);
    res.end();
  }
}

const server = createServer((req, res) => {
  if (req.method !== 'POST' || req.url !== '/stream-claude') return res.writeHead(404).end();
  return relay(res, (options) => {
    const question = {
      model: 'claude-sonnet-5-5',
      max_tokens: 1000,
      messages: [{ role: 'user', content: 'Why is the ocean salty?' }],
    };
    // `create`, not the helper `stream`: its iterator drops an error that comes while we await.
    return client.messages.create({ ...question, stream: true }, options);
  });
});

server.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => {
  console.log(`Server running on http://127.0.0.1:${server.address().port}`);
});

process.once('SIGTERM', () => {
  server.close(() => process.exit(0)); // takes no new request; exits once the last has ended
  setInterval(() => server.closeIdleConnections(), 100);
  setTimeout(() => {
    for (const call of calls) call.abort(Object.assign(new Error(), { type: 'draining' }));
  }, DRAIN_MS);
});
