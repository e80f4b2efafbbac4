  // `compression` and Next.js's own compressor leave a no-transform response alone.
  res.setHeader('Cache-Control', 'no-cache, no-transform');
