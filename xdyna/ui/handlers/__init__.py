"""What happens when a visitor does something, one file per screen. Knows the page's parts by their names only."""
