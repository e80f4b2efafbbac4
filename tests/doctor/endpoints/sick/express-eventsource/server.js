// GET for a browser's EventSource: each reconnect asks the model again, for ever.
import Anthropic from '@anthropic-ai/sdk';
import express from 'express';

const app = express();
const client = new Anthropic({ maxRetries: 0 });

app.get('/stream', async (req, res) => {
  res.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache' });
  const stream = client.messages.stream({
    model: 'claude-sonnet-5-5',
    messages: [{ role: 'user', content: String(req.query.prompt ?? 'Why is the ocean salty?') }],
    max_tokens: 1000,
  });
  res.on('close', () => stream.abort());
  try {
    for await (const event of stream) {
      if (event.type === 'content_block_delta' && event.delta.text) {
        res.write(`data: ${JSON.stringify({ text: event.delta.text })}\n\n`);
      }
    }
    res.end('event: done\ndata: {}\n\n');
  } catch (error) {
    res.end(`event: failed\ndata: ${JSON.stringify({ message: error.message })}\n\n`);
  }
});

app.listen(Number(process.env.PORT ?? 3000), '127.0.0.1');
