import Anthropic from '@anthropic-ai/sdk';
import express from 'express';

const app = express();
const client = new Anthropic();

app.post('/stream-claude', async (req, res) => {
  res.setHeader('Content-Type', 'text/event-stream');
  res.setHeader('Cache-Control', 'no-cache');
  const stream = client.messages.stream({
    model: 'claude-sonnet-5-5',
    messages: [{ role: 'user', content: 'Why is the ocean salty?' }],
    max_tokens: 1000,
  });
  stream.on('text', (text) => res.write(`data: ${JSON.stringify({ text })}\n\n`));
  stream.on('error', (error) => console.error(error.message));
  stream.on('end', () => res.end('data: {"event":"end"}\n\n'));
});

app.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => console.log('Server running'));
