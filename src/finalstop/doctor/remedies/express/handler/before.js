import Anthropic from '@anthropic-ai/sdk';
import express from 'express';

const app = express();
const client = new Anthropic(); // ANTHROPIC_API_KEY and ANTHROPIC_BASE_URL, from the environment

app.post('/stream-claude', async (req, res) => {
  res.setHeader('Content-Type', 'text/event-stream');
  res.setHeader('Cache-Control', 'no-cache');
  res.setHeader('Connection', 'keep-alive');
  try {
    const stream = await client.messages.stream({
      model: 'claude-sonnet-5-5',
      max_tokens: 1000,
      messages: [{ role: 'user', content: 'Why is the ocean salty?' }],
    });
    for await (const event of stream) {
      if (event.type === 'content_block_delta') {
        res.write(`data: ${JSON.stringify({ text: event.delta.text })}\n\n`);
      }
    }
    res.write(`data: ${JSON.stringify({ event: 'end' })}\n\n`);
    res.end();
  } catch (error) {
    console.error('Error during streaming:', error);
    res.status(500).end('Internal Server Error');
  }
});

const server = app.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => {
  console.log(`Server running on http://127.0.0.1:${server.address().port}`);
});
