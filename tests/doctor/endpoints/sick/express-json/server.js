// Streams, but calls it JSON: EventSource refuses it, and proxies feel free to buffer it.
import Anthropic from '@anthropic-ai/sdk';
import express from 'express';

const app = express();
const client = new Anthropic();

app.post('/stream-claude', async (req, res) => {
  res.type('json');
  const stream = client.messages.stream({
    model: 'claude-sonnet-5-5',
    messages: [{ role: 'user', content: 'Why is the ocean salty?' }],
    max_tokens: 1000,
  });
  stream.on('text', (text) => res.write(`data: ${JSON.stringify({ text })}\n\n`));
  stream.on('error', (error) => res.end(`data: ${JSON.stringify({ error: error.message })}\n\n`));
  stream.on('message', () => res.end('data: [DONE]\n\n'));
});

app.listen(Number(process.env.PORT ?? 3000), '127.0.0.1');
