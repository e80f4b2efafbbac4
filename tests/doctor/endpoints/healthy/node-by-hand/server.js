// Node's own http and the official SDK, done with care and without finalstop.
import Anthropic from '@anthropic-ai/sdk';
import http from 'node:http';

const IDLE_MS = 2000;
const client = new Anthropic({ maxRetries: 0 });
const DRAIN_MS = 1000;
const live = new Set();
const frame = (payload) => `data: ${JSON.stringify(payload)}\n\n`;

const server = http.createServer(async (req, res) => {
  req.resume();
  if (req.method !== 'POST') return res.writeHead(405).end();
  const abort = new AbortController();
  let why = 'the reader left';
  const give_up = (reason) => { why = reason; abort.abort(); };
  live.add(give_up);
  let timer = setTimeout(give_up, IDLE_MS, 'no answer');
  res.on('close', () => abort.abort());
  try {
    const stream = await client.messages.create({
      model: 'claude-sonnet-5-5',
      messages: [{ role: 'user', content: 'Why is the ocean salty?' }],
      max_tokens: 1000,
      stream: true,
    }, { signal: abort.signal });
    let whole = false;
    for await (const event of stream) {
      if (!res.headersSent) res.writeHead(200, { 'content-type': 'text/event-stream' });
      if (event.type === 'content_block_delta') {
        clearTimeout(timer);
        timer = setTimeout(give_up, IDLE_MS, 'the answer stalled');
        if (event.delta.text) res.write(frame({ text: event.delta.text }));
      }
      whole = event.type === 'message_stop';
      if (whole) break;
    }
    if (!whole) throw new Error(abort.signal.aborted ? why : 'the answer was cut off');
    res.end(frame({ event: 'end' }));
  } catch (error) {
    const message = abort.signal.aborted ? why : error.message;
    if (res.headersSent) return res.end(frame({ event: 'error', message }));
    const retryAfter = error.headers?.get('retry-after');
    if (retryAfter) res.setHeader('retry-after', retryAfter);
    res.writeHead(error.status ?? 504, { 'content-type': 'application/json' });
    res.end(JSON.stringify({ error: message }));
  } finally {
    live.delete(give_up);
    clearTimeout(timer);
    abort.abort();
  }
});

server.listen(Number(process.env.PORT), '127.0.0.1');

process.on('SIGTERM', () => {
  server.close(() => process.exit(0));
  server.closeIdleConnections();
  setTimeout(() => live.forEach((give_up) => give_up('the server is shutting down')), DRAIN_MS);
});
