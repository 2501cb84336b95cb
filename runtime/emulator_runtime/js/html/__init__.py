"""What `HTMLRewriter` needs: a tokenizer that keeps the source of every token, selectors, and what handlers are given.

It follows lol-html, the rewriter of production, and not a browser: elements are opened and closed by the tags that are
there, attribute values stay as they are written, and what no handler touches comes out byte for byte. The parsers that
there are for Python cannot be its base, for they read documents as browsers do: they decode attribute values, drop the
second of two attributes and the tag that a document ends in, and change line ends.
"""
