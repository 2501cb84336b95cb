"""Events as a person or a program reads them: text, JSON lines, and the terminal that they are written to."""
