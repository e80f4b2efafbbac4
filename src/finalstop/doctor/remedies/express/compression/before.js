  res.setHeader('Cache-Control', 'no-cache');
