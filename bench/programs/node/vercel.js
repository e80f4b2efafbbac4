// Express and the AI SDK: streamText, piped in its own UI message stream.
import { createAnthropic } from '@ai-sdk/anthropic';
import { streamText } from 'ai';
import express from 'express';

const app = express();
const anthropic = createAnthropic({ baseURL: `${process.env.ANTHROPIC_BASE_URL}/v1` });

app.post('/stream-claude', express.json(), (req, res) => {
  const { model, messages } = req.body;
  streamText({ model: anthropic(model), messages }).pipeUIMessageStreamToResponse(res);
});

app.listen(Number(process.env.PORT), '127.0.0.1');
