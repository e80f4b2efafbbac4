// Native http, no framework: the same loop, the same hang.
import Anthropic from '@anthropic-ai/sdk';
import http from 'node:http';

const client = new Anthropic();

const server = http.createServer(async (req, res) => {
  res.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache' });
  try {
    const stream = await client.messages.create({
      model: 'claude-sonnet-5-5',
      messages: [{ role: 'user', content: 'Why is the ocean salty?' }],
      max_tokens: 1000,
      stream: true,
    });
    for await (const event of stream) {
      if (event.type === 'content_block_delta') {
        res.write(`data: ${JSON.stringify(event.delta)}\n\n`);
      }
    }
    res.end('data: [DONE]\n\n');
  } catch (error) {
    console.error(error);
    res.end();
  }
});

server.listen(Number(process.env.PORT ?? 3000), '127.0.0.1');
