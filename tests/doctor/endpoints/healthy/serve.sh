# The gateway, asking whoever the doctor says. The limits are short, so that a stall ends within
# the doctor's window.
exec python -m finalstop serve --port "$PORT" --upstream "$ANTHROPIC_BASE_URL" \
  --set commit_s=1 --set first_content_s=2 --set idle_s=2 --set keep_alive_s=1.5 --set drain_s=3
