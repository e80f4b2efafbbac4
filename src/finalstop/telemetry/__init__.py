"""THE WINDOWS: folds over what has happened. Nothing here changes a stream."""
