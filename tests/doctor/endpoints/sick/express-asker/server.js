// The program that started all this: no break, no timeout, no abort signal.
import Anthropic from '@anthropic-ai/sdk';
import express from 'express';

const app = express();
const client = new Anthropic();

app.post('/stream-claude', async (req, res) => {
  res.setHeader('Content-Type', 'text/event-stream');
  res.setHeader('Cache-Control', 'no-cache');
  res.setHeader('Connection', 'keep-alive');
  try {
    const messageStream = await client.messages.stream({
      model: 'claude-sonnet-5-5',
      messages: [{ role: 'user', content: 'Why is the ocean salty? Give a detailed explanation.' }],
      max_tokens: 1000,
    });
    for await (const chunk of messageStream) {
      if (chunk.type === 'content_block_delta') {
        res.write(`data: ${JSON.stringify({ text: chunk.delta.text })}\n\n`);
      }
    }
    res.write(`data: ${JSON.stringify({ event: 'end' })}\n\n`);
    res.end();
    console.log('Stream ended successfully.');
  } catch (error) {
    console.error('Error during streaming:', error);
    res.status(500).end('Internal Server Error');
  }
});

app.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => console.log('Server running'));
