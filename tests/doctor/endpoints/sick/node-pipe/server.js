// A raw proxy that survives a reset, and hides it: the response ends as if all were well.
import express from 'express';

const app = express();
app.use(express.json());

app.post('/v1/messages', async (req, res) => {
  const upstream = await fetch(`${process.env.ANTHROPIC_BASE_URL}/v1/messages`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'x-api-key': process.env.ANTHROPIC_API_KEY,
      'anthropic-version': '2023-06-01',
    },
    body: JSON.stringify({ ...req.body, stream: true }),
  });
  res.writeHead(200, { 'content-type': 'text/event-stream' });
  try {
    for await (const chunk of upstream.body) res.write(chunk);
  } catch (error) {
    console.error(error.message);
  }
  res.end();
});

app.listen(Number(process.env.PORT ?? 3000), '127.0.0.1');
