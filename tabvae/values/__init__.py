"""Values: what one cell says, be it a number, a date or an identifier, and how it is written."""
