"""One module per web framework, thin, and each a twin of the others: `respond(request, source)`.

Each turns a stream into its framework's own response and knows what its servers do when a client
leaves and when the process is told to end. None decides how a stream ends. Import the one that you
need: it brings its framework, and this package brings none.
"""
