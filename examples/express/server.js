// The program everyone writes: relay a Claude stream to the browser as Server-Sent Events. It has
// no timeout, no break and no abort signal, and here it stays like that: what is shown is what
// becomes of it under a faulty upstream, and that pointing ANTHROPIC_BASE_URL at finalstop is
// enough. Not an example to copy: `catch` answers as if nothing had been sent.
import express from 'express';

// Which official SDK: the newest, or `anthropic-sdk-2024`, which is its release 0.24.3.
const { default: Anthropic } = await import(process.env.SDK ?? '@anthropic-ai/sdk');

const app = express();
const client = new Anthropic(); // ANTHROPIC_API_KEY and ANTHROPIC_BASE_URL, from the environment

app.post('/stream-claude', async (req, res) => {
  const model = req.query.model ?? 'claude-sonnet-5-5';
  res.setHeader('Content-Type', 'text/event-stream');
  res.setHeader('Cache-Control', 'no-cache');
  res.setHeader('Connection', 'keep-alive');

  try {
    const stream = await client.messages.stream({
      model,
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
    console.log(`${model} Stream ended successfully.`);
  } catch (error) {
    console.log(`${model} Error during streaming: ${error}`);
    res.status(500).end('Internal Server Error');
  }
});

const server = app.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => {
  console.log(`Server running on http://127.0.0.1:${server.address().port}`);
});
