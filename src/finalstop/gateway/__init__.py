"""THE FRONT OF HOUSE: the server, and the composition root that names the concrete parts."""
