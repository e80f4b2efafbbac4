// Collects the whole answer and sends it as one: a stream in name only.
import Anthropic from '@anthropic-ai/sdk';
import http from 'node:http';

const client = new Anthropic();

http.createServer(async (req, res) => {
  const frames = [];
  const stream = client.messages.stream({
    model: 'claude-sonnet-5-5',
    messages: [{ role: 'user', content: 'Why is the ocean salty?' }],
    max_tokens: 1000,
  });
  try {
    for await (const event of stream) {
      if (event.type === 'content_block_delta' && event.delta.text) {
        frames.push(`data: ${JSON.stringify({ text: event.delta.text })}\n\n`);
      }
    }
    frames.push('data: [DONE]\n\n');
  } catch (error) {
    frames.push(`data: ${JSON.stringify({ error: error.message })}\n\n`);
  }
  res.writeHead(200, { 'Content-Type': 'text/event-stream' });
  res.end(frames.join(''));
}).listen(Number(process.env.PORT ?? 3000), '127.0.0.1');
