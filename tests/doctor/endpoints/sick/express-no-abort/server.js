import Anthropic from '@anthropic-ai/sdk';
import express from 'express';

const app = express();
const client = new Anthropic();

app.post('/stream-claude', async (req, res) => {
  res.setHeader('Content-Type', 'text/event-stream');
  res.setHeader('Cache-Control', 'no-cache');
  const idle = new AbortController();
  let timer;
  const rearm = () => { clearTimeout(timer); timer = setTimeout(() => idle.abort(), 1000); };
  try {
    rearm();
    const stream = await client.messages.create({
      model: 'claude-sonnet-5-5',
      messages: [{ role: 'user', content: 'Why is the ocean salty?' }],
      max_tokens: 1000,
      stream: true,
    }, { signal: idle.signal, maxRetries: 0 });
    let whole = false;
    for await (const event of stream) {
      if (event.type === 'content_block_delta') {
        rearm();
        if (event.delta.text) res.write(`data: ${JSON.stringify({ text: event.delta.text })}\n\n`);
      }
      if (event.type === 'message_stop') { whole = true; break; }
    }
    if (!whole) throw new Error('the answer was cut off');
    res.write(`data: ${JSON.stringify({ event: 'end' })}\n\n`);
    res.end();
  } catch (error) {
    const status = error.status ?? 502;
    if (!res.headersSent) {
      res.set('retry-after', error.headers?.get('retry-after') ?? '1');
      return res.status(status).json({ error: error.message });
    }
    res.end(`data: ${JSON.stringify({ event: 'error', message: error.message })}\n\n`);
  } finally {
    clearTimeout(timer);
  }
});

app.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => console.log('Server running'));
