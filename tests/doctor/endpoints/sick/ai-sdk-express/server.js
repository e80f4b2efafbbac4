// The AI SDK's own recipe for Express.
import { createAnthropic } from '@ai-sdk/anthropic';
import { streamText } from 'ai';
import express from 'express';

const app = express();
app.use(express.json());
const anthropic = createAnthropic({
  baseURL: `${process.env.ANTHROPIC_BASE_URL}/v1`,
  apiKey: process.env.ANTHROPIC_API_KEY,
});

app.post('/api/chat', (req, res) => {
  const result = streamText({
    model: anthropic('claude-sonnet-5-5'),
    prompt: 'Why is the ocean salty?',
  });
  result.pipeUIMessageStreamToResponse(res);
});

app.listen(Number(process.env.PORT ?? 3000), '127.0.0.1');
