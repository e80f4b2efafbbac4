import { createServer } from 'node:http';
import Anthropic from '@anthropic-ai/sdk';

const client = new Anthropic(); // ANTHROPIC_API_KEY and ANTHROPIC_BASE_URL, from the environment

const server = createServer(async (req, res) => {
  if (req.method !== 'POST' || req.url !== '/stream-claude') return res.writeHead(404).end();
  res.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache' });
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
    return res.end();
  } catch (error) {
    console.error('Error during streaming:', error);
    return res.end('Internal Server Error');
  }
});

server.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => {
  console.log(`Server running on http://127.0.0.1:${server.address().port}`);
});
