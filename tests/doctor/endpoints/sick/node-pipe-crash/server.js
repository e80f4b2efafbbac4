// A raw proxy without the SDK: fetch, then pipe. Nobody listens for the pipe's error.
import { Readable } from 'node:stream';
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
  res.writeHead(upstream.status, { 'content-type': upstream.headers.get('content-type') });
  Readable.fromWeb(upstream.body).pipe(res);
});

app.listen(Number(process.env.PORT ?? 3000), '127.0.0.1');
