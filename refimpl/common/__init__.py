"""What every command shares: the command line, files, progress, text, JSON and the HTML page."""
