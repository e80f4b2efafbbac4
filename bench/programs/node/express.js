// Express over the official SDK, as everyone writes it.
import Anthropic from '@anthropic-ai/sdk';
import express from 'express';

const app = express();
const client = new Anthropic(); // ANTHROPIC_API_KEY and ANTHROPIC_BASE_URL, from the environment

app.post('/stream-claude', express.json(), async (req, res) => {
  const { model, max_tokens, messages } = req.body;
  res.setHeader('Content-Type', 'text/event-stream');
  res.setHeader('Cache-Control', 'no-cache');
  const stream = await client.messages.create({ model, max_tokens, messages, stream: true });
  for await (const event of stream) {
    if (event.type === 'content_block_delta' && event.delta.type === 'text_delta') {
      res.write(`data: ${JSON.stringify({ text: event.delta.text })}\n\n`);
    }
  }
  res.end('data: {"event":"end"}\n\n');
});

app.listen(Number(process.env.PORT), '127.0.0.1');
